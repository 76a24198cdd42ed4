"""Retrieval over the published 2WikiMultiHopQA sample, where a copy is at hand."""

import os
from pathlib import Path
from typing import Any

import pytest

from steper_ray.data.corpus import read_corpus
from steper_ray.data.questions import read_questions

DATA = Path(os.environ.get("STEPER_DATA") or Path(__file__).parents[2] / "../shared/data") / "2wikimultihopqa"

pytestmark = [
    pytest.mark.lucene,
    pytest.mark.skipif(not DATA.is_dir(), reason="no copy of the published data: set STEPER_DATA to its folder"),
]


def test_one_retrieval_finds_some_gold_for_most_questions_and_all_of_it_for_few(lucene: Any, tmp_path: Path) -> None:
    rows = [[passage.id, passage.title, passage.text] for passage in read_corpus(DATA / "corpus.jsonl")]
    lucene("build", folder=str(tmp_path / "index"), rows=rows)
    questions = read_questions(DATA / "dev.json").questions
    found = lucene("search_many", folder=str(tmp_path / "index"), queries=[q.text for q in questions], k=4)
    recalls = [
        len({title for _, title, *_ in passages} & set(question.gold_titles)) / len(question.gold_titles)
        for question, passages in zip(questions, found, strict=True)
    ]
    some, all_of_it = (sum(test) / len(recalls) for test in ([r > 0 for r in recalls], [r == 1 for r in recalls]))
    print(f"recall@4: any {some:.3f}, all {all_of_it:.3f}")
    assert some > 0.85
    assert 0.2 < all_of_it < 0.35
