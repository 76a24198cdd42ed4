"""The question reader."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.core.identity import content_id
from steper_ray.core.types import Question
from steper_ray.data.questions import QuestionFormat, read_questions
from steper_ray.errors import InputError

HOTPOT = {
    "_id": "h1",
    "question": "Who  wrote it?",
    "answer": "Ann",
    "type": "bridge",
    "level": None,
    "supporting_facts": [["B", 0], ["A", 1], ["B", 2]],
    "context": [],
}
MUSIQUE = {
    "id": "3hop1__1_2_3",
    "paragraphs": [
        {"idx": 0, "title": "A", "paragraph_text": "…", "is_supporting": True},
        {"idx": 1, "title": "B", "paragraph_text": "…", "is_supporting": False},
        {"idx": 2, "title": "C", "paragraph_text": "…", "is_supporting": True},
    ],
    "question": "When?",
    "question_decomposition": [{"id": 1}, {"id": 2}, {"id": 3}],
    "answer": "1862",
    "answer_aliases": ["in 1862", "1862"],
    "answerable": True,
}
GENERIC = {"id": "g1", "question": "When?", "golden_answers": ["1862", "in 1862"]}


def _list(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(rows))
    return path


def _lines(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _fault(path: Path, **arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_questions(path, **arguments)
    return str(caught.value).removeprefix(f"{path}, ")


def test_hotpotqa_counts_distinct_titles_as_hops(tmp_path: Path) -> None:
    found = read_questions(_list(tmp_path, HOTPOT))
    assert found.format is QuestionFormat.HOTPOTQA
    assert found.questions == (Question("h1", "Who wrote it?", ("Ann",), "bridge", 2, ("B", "A")),)


def test_2wiki_is_told_by_its_evidences_and_takes_aliases(tmp_path: Path) -> None:
    found = read_questions(_list(tmp_path, {**HOTPOT, "evidences": [], "answer_aliases": ["Anne"]}))
    assert found.format is QuestionFormat.TWO_WIKI
    assert found.questions[0].golden_answers == ("Ann", "Anne")


def test_musique_takes_hops_from_its_decomposition_and_titles_from_supporting_paragraphs(tmp_path: Path) -> None:
    found = read_questions(_lines(tmp_path, MUSIQUE))
    assert found.format is QuestionFormat.MUSIQUE
    gold = (content_id("A", "…"), content_id("C", "…"))
    assert found.questions == (Question("3hop1__1_2_3", "When?", ("1862", "in 1862"), "3hop1", 3, ("A", "C"), gold),)


def test_musique_without_texts_has_gold_titles_alone(tmp_path: Path) -> None:
    bare = {**MUSIQUE, "paragraphs": [{"title": "A", "is_supporting": True}]}
    question = read_questions(_lines(tmp_path, bare)).questions[0]
    assert (question.gold_titles, question.gold_ids) == (("A",), ())


def test_musique_questions_without_an_answer_are_refused(tmp_path: Path) -> None:
    message = _fault(_lines(tmp_path, MUSIQUE, {**MUSIQUE, "answerable": False}))
    assert message == (
        "line 2, field 'answerable': cannot be answered from its paragraphs; found False. Use MuSiQue-Ans"
    )


def test_generic_lines_take_their_metadata(tmp_path: Path) -> None:
    metadata = {"type": "bridge", "hops": 3, "supporting_titles": ["A", "B"], "supporting_ids": [4, "x"]}
    found = read_questions(_lines(tmp_path, {**GENERIC, "metadata": metadata}))
    assert found.format is QuestionFormat.GENERIC
    assert found.questions == (Question("g1", "When?", ("1862", "in 1862"), "bridge", 3, ("A", "B"), ("4", "x")),)


def test_flashrag_metadata_of_hotpotqa_gives_titles_and_hops(tmp_path: Path) -> None:
    facts = {"title": ["A", "B", "A"], "sent_id": [0, 1, 2]}
    question = read_questions(_lines(tmp_path, {**GENERIC, "metadata": {"supporting_facts": facts}})).questions[0]
    assert (question.gold_titles, question.hops) == (("A", "B"), 2)


@pytest.mark.parametrize("field", ["answer", "answers", "golden_answers"])
@pytest.mark.parametrize("value", ["1862", ["1862"]])
def test_answers_may_be_spelled_in_several_ways(tmp_path: Path, field: str, value: Any) -> None:
    path = _lines(tmp_path, {"id": "g1", "question": "When?", field: value})
    assert read_questions(path).questions[0].golden_answers == ("1862",)


def test_parquet_gives_the_same_as_lines(tmp_path: Path) -> None:
    rows = [{**GENERIC, "metadata": {"type": "bridge", "hops": 2}}, {**GENERIC, "id": "g2", "metadata": None}]
    path = tmp_path / "q.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert read_questions(path) == read_questions(_lines(tmp_path, *rows))


def test_hotpotqa_as_parquet_has_its_facts_in_a_struct(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    row = {"id": "h1", "question": "Who?", "answer": "Ann", "type": "bridge", "supporting_facts": {"title": ["A", "A"]}}
    pq.write_table(pa.Table.from_pylist([row]), path)
    found = read_questions(path)
    assert (found.format, found.questions[0].gold_titles) == (QuestionFormat.HOTPOTQA, ("A",))


def test_a_limit_leaves_the_rest_unread(tmp_path: Path) -> None:
    path = _lines(tmp_path, GENERIC)
    path.write_text(path.read_text() + "broken\n")
    assert len(read_questions(path, limit=1).questions) == 1


def _numbered(tmp_path: Path, count: int) -> Path:
    return _lines(tmp_path, *({**GENERIC, "id": f"g{number}"} for number in range(count)))


def _ids(path: Path, **arguments: Any) -> list[str]:
    return [question.id for question in read_questions(path, **arguments).questions]


def test_a_sample_is_the_same_for_the_same_seed_and_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = _numbered(tmp_path, 200)
    first, again, other = (_ids(path, limit=20, sample=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 20
    assert first == [id for id in _ids(path) if id in first]
    assert first != _ids(path, limit=20)


def test_a_larger_sample_keeps_what_a_smaller_one_chose(tmp_path: Path) -> None:
    path = _numbered(tmp_path, 200)
    assert set(_ids(path, limit=20, sample=7)) < set(_ids(path, limit=60, sample=7))


def test_a_sample_takes_every_part_of_the_file_alike(tmp_path: Path) -> None:
    path = _numbered(tmp_path, 60)
    halves = [sum(int(id[1:]) < 30 for id in _ids(path, limit=10, sample=seed)) for seed in range(100)]
    assert sum(halves) / 1000 == pytest.approx(0.5, abs=0.06)


def test_a_sample_of_more_than_there_is_is_all(tmp_path: Path) -> None:
    path = _numbered(tmp_path, 3)
    assert _ids(path, limit=5, sample=0) == ["g0", "g1", "g2"]


def test_a_sample_names_faults_by_their_line(tmp_path: Path) -> None:
    rows = [{**GENERIC, "id": f"g{number}", "golden_answers": []} for number in range(5)]
    assert _fault(_lines(tmp_path, *rows), limit=1, sample=1).startswith("line ")
    assert _fault(_lines(tmp_path, GENERIC, {"question": "?"}), limit=1, sample=1).startswith("line 2: '_id' or 'id'")
    assert _fault(_lines(tmp_path, GENERIC, GENERIC), limit=2, sample=1).startswith("line 2, field 'id': duplicate id")
    assert _fault(_lines(tmp_path), limit=2, sample=1).endswith("holds no question")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, "questions: 2 of 2 from questions.json (hotpotqa)"),
        ({"limit": 1, "sample": 3}, "questions: 1 of 2 from questions.json (hotpotqa)"),
        ({"limit": 5}, "questions: 2 of 2 from questions.json (hotpotqa)"),
        ({"limit": 1}, "questions: the first 1 from questions.json (hotpotqa)"),
    ],
)
def test_the_line_for_the_log_names_number_file_and_format(
    tmp_path: Path, arguments: dict[str, int], line: str
) -> None:
    path = _list(tmp_path, HOTPOT, {**HOTPOT, "_id": "h2"})
    assert read_questions(path, **arguments).line(path) == line


def test_flashrag_is_read_from_lines_and_parquet_alike(tmp_path: Path) -> None:
    context = {"title": ["A", "B"], "sentences": [["One."], ["Two."]]}
    facts = {"title": ["A", "B"], "sent_id": [0, 0]}
    metadata = {"type": "bridge", "level": "hard", "supporting_facts": facts, "context": context}
    row = {"id": "dev_0", "question": "When?", "golden_answers": ["1862"], "metadata": metadata}
    path = tmp_path / "dev.parquet"
    pq.write_table(pa.Table.from_pylist([row]), path)
    for found in (read_questions(_lines(tmp_path, row)), read_questions(path)):
        assert found.format is QuestionFormat.GENERIC
        assert found.questions == (Question("dev_0", "When?", ("1862",), "bridge", 2, ("A", "B")),)


def test_answers_may_be_absent_where_they_are_not_needed(tmp_path: Path) -> None:
    path = _lines(tmp_path, {"id": "g1", "question": "When?"}, {"id": "g2", "question": "Who?", "golden_answers": []})
    assert [question.golden_answers for question in read_questions(path, require_answers=False).questions] == [(), ()]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GENERIC, GENERIC], "line 2, field 'id': duplicate id, first in line 1; found 'g1'"),
        ([{"id": "g1", "question": "When?"}], "line 1, field 'golden_answers': has no answer. Give `golden_answers`"),
        ([{**GENERIC, "golden_answers": []}], "line 1, field 'golden_answers': has no answer; found []"),
        ([{**GENERIC, "golden_answers": [""]}], "line 1, field 'golden_answers': is empty; found ''. Give"),
        ([{**GENERIC, "golden_answers": [1862]}], "line 1, field 'golden_answers': must be text; found 1862. Put it"),
        ([{**GENERIC, "question": "  "}], "line 1, field 'question': is empty; found '  '"),
        ([GENERIC, {"id": "g2"}], "line 2: 'question' is missing; found ['id']"),
        ([{"question": "When?", "answer": "x"}], "line 1: '_id' or 'id' is missing"),
        ([{"data": [GENERIC]}], "line 1: is no question of a known format; found ['data']. Known are HotpotQA"),
        ([{**GENERIC, "metadata": "bridge"}], "line 1, field 'metadata': must be an object; found 'bridge'"),
        ([{**GENERIC, "metadata": {"hops": "2"}}], "line 1, field 'metadata.hops': must be a whole number; found '2'"),
        ([{**GENERIC, "metadata": {"supporting_titles": "A"}}], "line 1, field 'metadata.supporting_titles': must be"),
        ([{**HOTPOT, "supporting_facts": ["A"]}], "line 1, field 'supporting_facts': must be a list of [title, sen"),
        ([{**MUSIQUE, "paragraphs": {}}], "line 1, field 'paragraphs': must be a list; found {}"),
    ],
)
def test_a_faulty_question_is_refused(tmp_path: Path, rows: list[Any], message: str) -> None:
    assert _fault(_lines(tmp_path, *rows)).startswith(message)


def test_an_entry_of_a_list_is_named(tmp_path: Path) -> None:
    assert _fault(_list(tmp_path, HOTPOT, {**HOTPOT, "_id": "h2", "answer": ""})).startswith(
        "entry 2, field 'answer': is empty"
    )


@pytest.mark.parametrize("text", ["", "\n", "[]"])
def test_a_file_without_questions_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "q.json"
    path.write_text(text)
    assert _fault(path) == f"{path}: holds no question"
