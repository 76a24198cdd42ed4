"""The readers over the published files themselves, where a copy is at hand."""

import os
import re
from pathlib import Path

import pytest

from steper_ray.core.answers import extract_answer, is_correct
from steper_ray.data.chains import read_chains
from steper_ray.data.corpus import read_corpus
from steper_ray.data.decompositions import read_decompositions
from steper_ray.data.questions import QuestionFormat, read_questions

DATA = Path(os.environ.get("STEPER_DATA") or Path(__file__).parents[2] / "../shared/data")

pytestmark = pytest.mark.skipif(
    not (DATA / "hotpotqa").is_dir(), reason="no copy of the published data: set STEPER_DATA to its folder"
)


@pytest.mark.parametrize(
    ("file", "format", "count", "hops"),
    [
        ("hotpotqa/dev.json", QuestionFormat.HOTPOTQA, 300, {2}),
        ("2wikimultihopqa/dev.json", QuestionFormat.TWO_WIKI, 300, {2, 4}),
        ("musique/dev.jsonl", QuestionFormat.MUSIQUE, 100, {2, 3, 4}),
    ],
)
def test_every_question_has_an_answer_and_supporting_titles(
    file: str, format: QuestionFormat, count: int, hops: set[int]
) -> None:
    found = read_questions(DATA / file)
    assert (found.format, len(found.questions)) == (format, count)
    assert {question.hops for question in found.questions} == hops
    assert all(question.golden_answers and question.gold_titles and question.kind for question in found.questions)


@pytest.mark.parametrize("name", ["hotpotqa", "2wikimultihopqa", "musique"])
def test_every_supporting_title_of_the_questions_is_in_the_corpus(name: str) -> None:
    titles = {passage.title for passage in read_corpus(DATA / name / "corpus.jsonl")}
    file = next((DATA / name).glob("dev.json*"))
    gold = [title for question in read_questions(file).questions for title in question.gold_titles]
    assert sum(title in titles for title in gold) / len(gold) > 0.99


@pytest.mark.parametrize(("name", "count"), [("hotpotqa", 29), ("2wikimultihopqa", 20), ("musique", 20)])
def test_every_annotated_chain_is_valid(name: str, count: int) -> None:
    assert len(read_chains(DATA / "chains" / f"{name}.jsonl")) == count


@pytest.mark.parametrize("name", ["train", "dev"])
def test_every_decomposition_ends_in_the_gold_answer_and_refers_to_none_but_earlier_ones(name: str) -> None:
    file = DATA / "musique" / f"{name}.jsonl"
    chains = read_decompositions(file)
    questions = read_questions(file).questions
    assert len(chains) == len(questions) == 100
    for question in questions:
        rationales = chains[question.id]
        assert len(rationales) == question.hops + 1
        assert is_correct(extract_answer(rationales[-1]), question.golden_answers)
        assert not any(re.search(r"#\d", line) for line in rationales), rationales
