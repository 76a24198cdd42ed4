"""`steper corpus from-questions`: every paragraph of the questions once, under a name that is its content."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.core.identity import content_id
from steper_ray.core.types import Passage
from steper_ray.corpus.gather import GatherCounts, gather_corpus
from steper_ray.data.corpus import read_corpus
from steper_ray.data.questions import read_questions
from steper_ray.errors import InputError

DATA = Path(os.environ.get("STEPER_DATA") or Path(__file__).parents[2] / "../shared/data")

HOTPOT = {
    "_id": "h1",
    "question": "Who?",
    "answer": "Ann",
    "supporting_facts": [["Alpha", 0], ["Beta", 1]],
    "context": [["Alpha", ["One.", " Two."]], ["Beta", "Three."], ["Gamma", []]],
}
MUSIQUE = {
    "id": "2hop__1_2",
    "question": "When?",
    "answer": "1862",
    "answerable": True,
    "question_decomposition": [{}, {}],
    "paragraphs": [
        {"title": "Alpha", "paragraph_text": "One. Two.", "is_supporting": True},
        {"title": "Alpha", "paragraph_text": "Another.", "is_supporting": False},
    ],
}
ALPHA, BETA, OTHER = ("Alpha", "One. Two."), ("Beta", "Three."), ("Alpha", "Another.")


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def gather(target: Path, *sources: Path) -> list[tuple[str, str]]:
    gather_corpus(sources, target, overwrite=True)
    passages = list(read_corpus(target))
    assert all(passage.id == content_id(passage.title, passage.text) for passage in passages)
    return [(passage.title, passage.text) for passage in passages]


def test_a_content_id_is_eighty_bits_of_the_hash_of_title_and_text() -> None:
    # printf 'A b\\nc' | sha256sum
    assert content_id(" A  b", "c\n") == content_id("A b", "c") == "d3d5e88e1a0f3efdcd69"
    assert content_id("A", "b c") != content_id("A b", "c")


def test_equal_paragraphs_are_one_passage_and_the_counts_add_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [write(tmp_path / "h.jsonl", HOTPOT), write(tmp_path / "m.jsonl", MUSIQUE)]
    counts = gather_corpus(sources, tmp_path / "c.jsonl")
    assert counts == GatherCounts(questions=2, paragraphs=5, passages=3, repeated=1, empty=1, missing_gold=0)
    found = [(passage.title, passage.text) for passage in read_corpus(tmp_path / "c.jsonl")]
    assert found == [ALPHA, BETA, OTHER]
    assert capsys.readouterr().out.startswith("5 paragraphs of 2 questions: 3 passages, 1 repeated, 1 empty, in ")


def test_ids_do_not_depend_on_the_order_of_the_files(tmp_path: Path) -> None:
    one, two = write(tmp_path / "h.jsonl", HOTPOT), write(tmp_path / "m.jsonl", MUSIQUE)
    gather(tmp_path / "a.jsonl", one, two)
    gather(tmp_path / "b.parquet", two, one)
    ids = [{passage.id for passage in read_corpus(tmp_path / name)} for name in ("a.jsonl", "b.parquet")]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 3


@pytest.mark.parametrize("texts", ["sentences", "content"])
def test_the_parquet_form_gives_the_same(tmp_path: Path, texts: str) -> None:
    context = {"title": ["Alpha", "Beta", "Gamma"], texts: [["One.", " Two."], ["Three."], []]}
    facts = {"title": ["Alpha", "Beta"], "sent_id": [0, 1]}
    row = {**HOTPOT, "context": context, "supporting_facts": facts}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "q.parquet")
    assert gather(tmp_path / "c.jsonl", tmp_path / "q.parquet") == [ALPHA, BETA]
    flat = {"id": "h1", "question": "Who?", "golden_answers": ["Ann"]}
    flat["metadata"] = {"context": context, "supporting_facts": facts}
    assert gather(tmp_path / "c.jsonl", write(tmp_path / "flashrag.jsonl", flat)) == [ALPHA, BETA]


def test_gold_that_is_missing_from_the_contexts_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {**HOTPOT, "supporting_facts": [["Alpha", 0], ["Gamma", 0], ["Delta", 0]]}
    assert gather_corpus([write(tmp_path / "h.jsonl", row)], tmp_path / "c.jsonl").missing_gold == 2
    assert "warning: 2 supporting titles are not among their question's own paragraphs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "1", "question": "Who?"}, r"line 2: has no context of its own; found \['id', 'question'\]\. Needed is"),
        ({**HOTPOT, "context": []}, "line 2: has no context of its own"),
        ({**HOTPOT, "context": ["Alpha"]}, r"line 2, field 'context': must be a list of \[title, sentences\]"),
        ({**HOTPOT, "context": {"title": ["A"], "sentences": []}}, "field 'context': must hold as many sentences as"),
        ({**HOTPOT, "context": [["A", [1]]]}, r"field 'context': must be text or a list of sentences; found \[1\]"),
        ({**HOTPOT, "context": [["", "x"]]}, "field 'context': is empty"),
        ({**MUSIQUE, "paragraphs": ["x"]}, "field 'paragraphs': must be a list of paragraphs"),
        ({**MUSIQUE, "paragraphs": [{"title": "A"}]}, "field 'paragraphs': must be text or a list of sentences"),
    ],
)
def test_a_question_without_a_usable_context_is_refused_and_nothing_written(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    source = write(tmp_path / "q.jsonl", HOTPOT, row)
    with pytest.raises(InputError, match=message):
        gather_corpus([source], tmp_path / "c.jsonl")
    assert list(tmp_path.iterdir()) == [source]


def test_questions_whose_paragraphs_are_all_empty_give_no_corpus(tmp_path: Path) -> None:
    row = {**HOTPOT, "context": [["Alpha", " "]]}
    with pytest.raises(InputError, match="no paragraph has a text"):
        gather_corpus([write(tmp_path / "q.jsonl", row)], tmp_path / "c.jsonl")


def test_a_file_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no question"):
        gather_corpus([write(tmp_path / "q.jsonl")], tmp_path / "c.jsonl")


REAL = pytest.mark.skipif(not (DATA / "hotpotqa").is_dir(), reason="no copy of the published data: set STEPER_DATA")


@REAL
@pytest.mark.parametrize(("name", "passages"), [("hotpotqa", 4910), ("2wikimultihopqa", 4973), ("musique", 3580)])
def test_published_questions_give_all_their_gold_passages(tmp_path: Path, name: str, passages: int) -> None:
    sources = sorted(path for path in (DATA / name).glob("*.json*") if path.name.startswith(("dev", "train")))
    counts = gather_corpus(sources, tmp_path / "c.jsonl")
    assert (counts.passages, counts.empty, counts.missing_gold) == (passages, 0, 0)
    found = list(read_corpus(tmp_path / "c.jsonl"))
    titles, ids = {passage.title for passage in found}, {passage.id for passage in found}
    for source in sources:
        for question in read_questions(source).questions:
            assert set(question.gold_titles) <= titles
            assert set(question.gold_ids) <= ids


@REAL
def test_published_gold_passages_of_musique_are_known_in_a_corpus_with_ids_of_its_own() -> None:
    ids = {content_id(passage.title, passage.text) for passage in read_corpus(DATA / "musique" / "corpus.jsonl")}
    gold = [id for question in read_questions(DATA / "musique" / "dev.jsonl").questions for id in question.gold_ids]
    print(f"{sum(id in ids for id in gold)} of {len(gold)}")
    assert sum(id in ids for id in gold) / len(gold) > 0.99


@REAL
@pytest.mark.parametrize("name", ["hotpotqa", "2wikimultihopqa", "musique"])
@pytest.mark.parametrize("file", ["corpus.jsonl", "corpus.train.jsonl"])
def test_no_published_passage_is_too_long_for_the_default(name: str, file: str) -> None:
    from steper_ray.sections.shared import IndexSection

    found: list[Passage] = list(read_corpus(DATA / name / file, IndexSection().passage_words))
    assert len(found) > 1000
