"""MuSiQue's decompositions as self-ask rationales."""

import json
from pathlib import Path
from typing import Any

import pytest

from steper_ray.core.loop import Finish, Retrieve, begin, fold_passages, fold_rationale, next_action
from steper_ray.core.types import LoopSettings, Question, Strategy, Usage
from steper_ray.data.decompositions import read_decompositions
from steper_ray.data.recordings import holds_decompositions, read_recordings
from steper_ray.errors import InputError


def _write(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "musique.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _row(*parts: tuple[Any, Any], answer: Any = "1969", id: str = "2hop__1_2") -> dict[str, Any]:
    decomposition = [{"question": question, "answer": found} for question, found in parts]
    return {"id": id, "question": "When?", "answer": answer, "question_decomposition": decomposition}


STAR = ("Jim Halsey >> client", "Roy Clark")
SHOW = ("Which show did #1 host?", "Hee Haw.")
YEAR = ("When did #2 of #1 start?", "1969")
RATIONALES = (
    "Follow up: Jim Halsey >> client",
    "Intermediate answer: Roy Clark. Follow up: Which show did Roy Clark host?",
    "Intermediate answer: Hee Haw. Follow up: When did Hee Haw of Roy Clark start?",
    "Intermediate answer: 1969. So the answer is: 1969.",
)


def test_sub_questions_become_follow_ups_and_references_become_answers(tmp_path: Path) -> None:
    path = _write(tmp_path, _row(STAR, SHOW, YEAR))
    assert read_decompositions(path) == {"2hop__1_2": RATIONALES}
    assert holds_decompositions(path)
    assert read_recordings(path) == read_decompositions(path)


def test_the_loop_asks_the_retriever_each_sub_question_and_ends_with_the_answer() -> None:
    how, queries = LoopSettings(strategy=Strategy.SELF_ASK), []
    state, lines = begin(Question("q", "When?", ("1969",))), iter(RATIONALES)
    while not isinstance(action := next_action(state, how), Finish):
        if isinstance(action, Retrieve):
            queries.append(action.query)
            state = fold_passages(state, (), how)
        else:
            state = fold_rationale(state, next(lines), Usage(), how)
    assert queries == [
        "When?",
        "Jim Halsey >> client",
        "Which show did Roy Clark host?",
        "When did Hee Haw of Roy Clark start?",
    ]
    assert action.trajectory.answer == "1969"


def test_a_number_sign_beyond_the_sub_questions_is_text(tmp_path: Path) -> None:
    path = _write(tmp_path, _row(("Which song was #40 in the charts?", "It"), ("When did #1 reach #10?", "1969")))
    assert read_decompositions(path)["2hop__1_2"][:2] == (
        "Follow up: Which song was #40 in the charts?",
        "Intermediate answer: It. Follow up: When did It reach #10?",
    )


def test_annotated_chains_are_still_read(tmp_path: Path) -> None:
    path = _write(tmp_path, {"id": "q1", "steps": [{"rationale": "So the answer is: x."}]})
    assert not holds_decompositions(path)
    assert read_recordings(path) == {"q1": ("So the answer is: x.",)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (_row(), "field 'question_decomposition': must be a list of sub-questions; found []"),
        (_row(("", "x")), "field 'question_decomposition[0].question': is empty"),
        (_row(STAR, ("Which?", None)), "field 'question_decomposition[1].answer': must be text"),
        (_row(("What is #2?", "a"), SHOW), "field 'question_decomposition[0].question': refers to answer 2"),
        (_row(("What is #1?", "a")), "field 'question_decomposition[0].question': refers to answer 1"),
        (_row(("x", "So the answer is: y")), "field 'question_decomposition[0].answer': holds the marker"),
        (_row(STAR, answer=None), "'answer' is missing"),
        ({"question_decomposition": []}, "'_id' or 'id' is missing"),
    ],
)
def test_a_faulty_row_is_refused_with_its_place(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = _write(tmp_path, row)
    with pytest.raises(InputError) as caught:
        read_decompositions(path)
    assert str(caught.value).removeprefix(f"{path}, line 1").lstrip(":, ").startswith(message)


def test_duplicates_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2, field 'id': duplicate id, first in line 1"):
        read_decompositions(_write(tmp_path, _row(STAR), _row(STAR)))
    with pytest.raises(InputError, match="holds no question"):
        read_decompositions(_write(tmp_path))
