"""The benchmark on real questions: what it gathers, its settings, and the page that quotes its figures."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import harness, real

PAGE = (harness.ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Each set has a chain; one passage stands in two files, and its id, for another passage, in a third."""
    folder = tmp_path / "data"
    for name in real.SETS:
        parts = {"corpus": [("1", "A", "first")], "corpus.train": [("1", name, "own")]}
        (folder / name).mkdir(parents=True)
        for part, rows in parts.items():
            lines = [json.dumps({"_id": number, "title": title, "text": text}) for number, title, text in rows]
            (folder / name / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
        (folder / "chains").mkdir(exist_ok=True)
        chain = {"id": f"{name}-7", "question": "Who?", "answers": ["x", "y"], "steps": [], "chain": "So …"}
        (folder / "chains" / f"{name}.jsonl").write_text(json.dumps(chain) + "\n")
    return folder


def rows(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_passages_of_all_sets_are_gathered_once_under_ids_of_their_own(data: Path, tmp_path: Path) -> None:
    assert real.gather(data, tmp_path) == 4
    ids = {row["_id"]: row["title"] for row in rows(tmp_path / "corpus.jsonl")}
    trains = {f"{name}/train/1": name for name in real.SETS}
    assert ids == {"hotpotqa/jsonl/1": "A", **trains}


def test_chains_become_recordings_and_questions(data: Path, tmp_path: Path) -> None:
    real.gather(data, tmp_path)
    assert [row["id"] for row in rows(tmp_path / "chains.jsonl")] == [f"{name}-7" for name in real.SETS]
    first = rows(tmp_path / "questions.jsonl")[0]
    assert first == {"id": "hotpotqa-7", "question": "Who?", "golden_answers": ["x", "y"]}


def test_both_models_are_evaluated_on_the_same_questions(tmp_path: Path) -> None:
    before, after = (
        real.set_config(tmp_path, "musique", when, tmp_path / when).evaluate for when in (real.BEFORE, real.AFTER)
    )
    assert (before.limit, before.sample, before.questions) == (after.limit, after.sample, after.questions)
    assert before.folder != after.folder
    assert real.chains_config(tmp_path, tmp_path / "base").train.held_out_share == 0


def test_without_the_data_it_says_why_it_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(real, "DATA", tmp_path)
    monkeypatch.setattr("sys.argv", ["real.py"])
    assert real.main() == 0
    assert "set STEPER_DATA" in capsys.readouterr().out


def test_the_page_quotes_the_committed_scores() -> None:
    written = json.loads((harness.RESULTS / "real.json").read_text(encoding="utf-8"))
    names = {"HotpotQA": "hotpotqa", "2WikiMultiHopQA": "2wikimultihopqa", "MuSiQue": "musique"}
    told = dict(re.findall(r"^\| (\w+) \| (\d+\.\d \(.*→ \d+) \|$", PAGE, re.MULTILINE))
    assert told.keys() == names.keys()
    for name, cells in told.items():
        before, after = (written["medians"][f"{names[name]} {when}"] for when in (real.BEFORE, real.AFTER))
        scores = [_told(model, measure) for measure in ("exact_match", "f1") for model in (before, after)]
        recall = f"{100 * after['recall_1_all']:.0f} → {100 * after['recall_last_all']:.0f}"
        assert cells.split(" | ") == [*scores, recall]
    settings = written["settings"]
    assert f"{settings['right']} annotated chains" in PAGE
    assert f"({settings['samples']} samples, replayed\nover one corpus of {settings['passages']:,} passages" in PAGE


def _told(figures: dict[str, float], measure: str) -> str:
    value, low, high = (100 * figures[name] for name in (measure, f"{measure}_low", f"{measure}_high"))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"
