"""`steper generate --dry-run` from end to end, with recorded rationales; then the real run in the same folder."""

import json
from pathlib import Path

import pytest

from steper_ray.cli import main
from steper_ray.data.schemas import TRAJECTORIES, read_rows

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture
def settings(halsey: Path, tmp_path: Path) -> list[str]:
    """25 questions, one of them without a recording."""
    names = [f"q{number}" for number in range(25)]
    question, chain = (json.loads((halsey / file).read_text()) for file in ("questions.jsonl", "chains.jsonl"))
    asked, chains = [{**question, "id": name} for name in names], [{**chain, "id": name} for name in names[1:]]
    for file, rows in (("asked.jsonl", asked), ("chains.jsonl", chains)):
        (tmp_path / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        f"run.folder={tmp_path / 'run'}",
        f"index.folder={halsey / 'index'}",
        f"generate.questions={tmp_path / 'asked.jsonl'}",
        f"generate.uri=file://{tmp_path / 'published'}",
        "teacher.backend=replay",
        f"teacher.recordings={tmp_path / 'chains.jsonl'}",
        "teacher.price_in=1",
    ]


def test_a_dry_run_tells_its_own_figures_alone_and_leaves_the_run_as_it_was(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["generate", *settings, "--dry-run"]) == 0
    told = capsys.readouterr().out
    tried = list(read_rows(run / "generate" / ".dry-run" / "generate" / "trajectories", TRAJECTORIES))
    failed = 20 - len(tried)
    assert failed in (0, 1)  # whether the one without a recording was chosen
    assert "questions: 25 of 25 from asked.jsonl" in told
    assert f"dry run: {len(tried)} trajectories, {len(tried)} correct{', 1 failed (no_recording)' * failed}" in told
    assert "the 25 still to be done" in told
    assert "cost" in told
    assert told.rstrip().endswith("next: steper generate without --dry-run")
    # Nothing of the run inside: no samples, no table of a generation, no next phase.
    assert not any(word in told for word in ("samples:", "next: steper train", "published:", "tokens out"))
    # Nothing is seen, logged or published as a part of the run itself.
    assert [path.name for path in (run / "generate").iterdir()] == [".dry-run"]
    assert [path.name for path in run.iterdir()] == ["generate"]
    assert not (tmp_path / "published").exists()
    assert {path.name for path in (run / "generate" / ".dry-run" / "log").iterdir()} == {
        "generate.jsonl",
        "samples.jsonl",
    }


def test_the_real_run_begins_anew_behind_a_dry_run_and_publishes_nothing_of_it(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", *settings, "--dry-run"]) == 0
    assert main(["generate", *settings]) == 0
    rows = list(read_rows(tmp_path / "run" / "generate" / "trajectories", TRAJECTORIES))
    assert {row["question_id"] for row in rows} == {f"q{number}" for number in range(1, 25)}
    published = [str(path.relative_to(tmp_path / "published")) for path in (tmp_path / "published").rglob("*")]
    assert "manifest.json" in published
    assert not any("dry-run" in name for name in published)
    capsys.readouterr()
    assert main(["generate", *settings, "--dry-run"]) == 0
    assert "dry run: nothing is left to be done" in capsys.readouterr().out
