"""Baselines in the harness of evaluation, and two of them compared, with recorded models on Ray."""

import json
from pathlib import Path
from typing import Any

import pytest

from steper_ray.cli import main
from steper_ray.config import load_config
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.evaluate.run import evaluate

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.usefixtures("ray_cluster")]

QUESTIONS = [
    ("show", "Which country variety show did Roy Clark host?", "Hee Haw", ["Roy Clark"]),
    ("state", "In which state does Bakersfield lie?", "California", ["Bakersfield"]),
]
ONE_STEP = {
    "show": "Roy Clark hosted Hee Haw. So the answer is: Hee Haw.",
    "state": "It lies there. So the answer is: Nevada.",
}
CLOSED_BOOK = {"show": "So the answer is: Dallas.", "state": "So the answer is: Nevada."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baselines")
    questions = [
        {"id": id, "question": text, "golden_answers": [gold], "metadata": {"supporting_titles": titles}}
        for id, text, gold, titles in QUESTIONS
    ]
    write(folder / "questions.jsonl", questions)
    for name, told in (("one_step", ONE_STEP), ("closed_book", CLOSED_BOOK)):
        write(folder / f"{name}.jsonl", [{"id": id, "steps": [{"rationale": text}]} for id, text in told.items()])
    return folder


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings(folder: Path, system: str, role: str = "student") -> list[str]:
    return [
        f"run.folder={folder / system}",
        f"evaluate.system={system}",
        f"evaluate.role={role}",
        f"{role}.backend=replay",
        f"{role}.recordings={folder / f'{system}.jsonl'}",
        f"evaluate.questions={folder / 'questions.jsonl'}",
    ]


@pytest.fixture(scope="module")
def scores(folder: Path, halsey: Path) -> dict[str, dict[str, Any]]:
    """`one_step` by a teacher, `closed_book` by a student for whom no index was built."""
    index = [f"index.folder={halsey / 'index'}", "loop.k=2"]
    evaluate(load_config(None, [*settings(folder, "one_step", "teacher"), *index]))
    evaluate(load_config(None, settings(folder, "closed_book")))
    return {
        name: json.loads((folder / name / "evaluate" / "scores.json").read_text())
        for name in ("one_step", "closed_book")
    }


def test_scores_say_who_was_asked_and_how(scores: dict[str, dict[str, Any]], folder: Path) -> None:
    asked = [(scores[name]["role"], scores[name]["system"]) for name in ("one_step", "closed_book")]
    assert asked == [("teacher", "one_step"), ("student", "closed_book")]
    assert scores["one_step"]["quality"]["exact_match"] == 0.5
    assert scores["closed_book"]["quality"]["exact_match"] == 0.0
    assert "Teacher: `replay`, one_step" in (folder / "one_step" / "evaluate" / "scores.md").read_text()


def test_one_step_retrieves_once_and_closed_book_never(scores: dict[str, dict[str, Any]], folder: Path) -> None:
    assert scores["one_step"]["steps_histogram"] == {"1": 2}
    assert scores["closed_book"]["steps_histogram"] == {"0": 2}
    assert [recall["all"] for recall in scores["one_step"]["recall"]] == [1.0]
    rows = list(read_rows(folder / "one_step" / "evaluate" / "trajectories", TRAJECTORIES))
    queries = {row["question_id"]: [step["query"] for step in row["steps"]] for row in rows}
    assert queries == {id: [text] for id, text, _, _ in QUESTIONS}
    assert all(len(row["steps"][0]["retrieved"]) == 2 for row in rows)


def test_self_ask_searches_with_its_follow_ups_and_its_paragraphs_are_named_as_musique_names_them(
    halsey: Path, tmp_path: Path
) -> None:
    parts = [
        {"question": "Jim Halsey >> guided the career of", "answer": "Roy Clark"},
        {"question": "Which show did #1 host?", "answer": "Hee Haw"},
    ]
    passages = [json.loads(line) for line in (halsey / "corpus.jsonl").read_text().splitlines()]
    paragraphs = [
        {"idx": number, "title": passage["title"], "paragraph_text": passage["text"], "is_supporting": number in (0, 1)}
        for number, passage in enumerate(passages)
    ]
    row = {"id": "2hop__1", "question": "Which show was hosted by whom Jim Halsey guided?", "answer": "Hee Haw"}
    write(tmp_path / "self_ask.jsonl", [{**row, "question_decomposition": parts, "paragraphs": paragraphs}])
    told = [
        f"run.folder={tmp_path}",
        f"index.folder={halsey / 'index'}",
        "loop.strategy=self_ask",
        "loop.k=1",
        "student.backend=replay",
        f"student.recordings={tmp_path / 'self_ask.jsonl'}",
        "student.demonstrations=builtin",
        f"evaluate.questions={tmp_path / 'self_ask.jsonl'}",
    ]
    scores = evaluate(load_config(None, told))
    assert (scores.quality.exact_match, scores.steps_histogram) == (1.0, {3: 1})
    (found,) = read_rows(tmp_path / "evaluate" / "trajectories", TRAJECTORIES)
    assert [step["query"] for step in found["steps"]] == [
        row["question"],
        "Jim Halsey >> guided the career of",
        "Which show did Roy Clark host?",
    ]
    assert "Student: `replay`, multi_step, self_ask." in (tmp_path / "evaluate" / "scores.md").read_text()
    # What the three searches found: paragraphs 0 and 1, and nothing else.
    assert json.loads((tmp_path / "evaluate" / "predictions.musique.jsonl").read_text()) == {
        "id": "2hop__1",
        "predicted_answer": "Hee Haw",
        "predicted_support_idxs": [0, 1],
        "predicted_answerable": True,
    }


def test_another_system_needs_another_folder(scores: dict[str, dict[str, Any]], folder: Path) -> None:
    taken = [*settings(folder, "closed_book"), f"evaluate.folder={folder / 'one_step' / 'evaluate'}"]
    with pytest.raises(RunFolderError, match="Use another folder"):
        evaluate(load_config(None, taken))


def test_a_service_takes_no_system_and_no_loop(folder: Path) -> None:
    service = [*settings(folder, "one_step")[:2], "student.backend=service", "student.url=http://127.0.0.1:9"]
    with pytest.raises(ConfigError, match=r"evaluate\.system=one_step asks no service"):
        evaluate(load_config(None, service))
    with pytest.raises(ConfigError, match=r"leave loop\.k out"):
        evaluate(load_config(None, [*service, "evaluate.system=multi_step", "loop.k=2"]))


def test_compare_writes_what_it_prints(
    scores: dict[str, dict[str, Any]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(folder / "closed_book"), str(folder / "one_step")]) == 0
    page = (folder / "one_step" / "evaluate" / "comparison.md").read_text()
    # One question of two differs: McNemar's p is 1, whatever the coin says.
    assert "A: `replay, closed_book`" in page
    assert "| EM | 0.0 | 50.0 | +50.0 |" in page
    assert "| 1.000 | McNemar |" in page
    assert "| B alone | 1 |" in page
    assert "compare: 2 questions" in capsys.readouterr().out


def test_compare_refuses_other_questions(
    scores: dict[str, dict[str, Any]], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder / "one_step" / "evaluate" / "predictions.jsonl"
    (tmp_path / "predictions.jsonl").write_text(source.read_text().splitlines()[0] + "\n")
    assert main(["compare", str(folder / "closed_book"), str(tmp_path)]) == 2
    assert "evaluate both on the same file" in capsys.readouterr().err
