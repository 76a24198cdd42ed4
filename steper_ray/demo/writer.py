"""Writes a demo world to a folder: corpus, questions and annotated chains as JSONL, streamed."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from steper_ray.core.types import Passage
from steper_ray.demo.questions import AnnotatedQuestion, iter_questions
from steper_ray.demo.world import Split, World, iter_passages

Row = dict[str, object]


def write_world(folder: Path, seed: int, passages: int, train_questions: int, held_out_questions: int) -> None:
    """Write `corpus.jsonl`, `{train,held_out}.jsonl` and `chains.{train,held_out}.jsonl` into `folder`.

    Each file appears whole or not at all. Raises ConfigError on impossible sizes.
    """
    world = World(seed, passages)
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in ((Split.TRAIN, train_questions), (Split.HELD_OUT, held_out_questions)):
        # First the questions: they are quick, and a world too small for them is found before the corpus is written.
        write_questions(folder, split, iter_questions(world, split, count))
    with whole_file(folder / "corpus.jsonl") as corpus:
        for passage in iter_passages(world):
            write_row(corpus, passage_row(passage))


def write_questions(folder: Path, split: Split, questions: Iterable[AnnotatedQuestion]) -> None:
    """Write the questions of a split and their chains in one pass."""
    with whole_file(folder / f"{split}.jsonl") as plain, whole_file(folder / f"chains.{split}.jsonl") as chains:
        for annotated in questions:
            write_row(plain, question_row(annotated))
            write_row(chains, chain_row(annotated))


def passage_row(passage: Passage) -> Row:
    """A line of `corpus.jsonl` (BEIR)."""
    return {"_id": passage.id, "title": passage.title, "text": passage.text}


def question_row(annotated: AnnotatedQuestion) -> Row:
    """A line of `train.jsonl` or `held_out.jsonl` (FlashRAG)."""
    question = annotated.question
    metadata = {
        "type": question.kind,
        "hops": question.hops,
        "supporting_titles": list(question.gold_titles),
        "supporting_ids": list(question.gold_ids),
    }
    answers = list(question.golden_answers)
    return {"id": question.id, "question": question.text, "golden_answers": answers, "metadata": metadata}


def chain_row(annotated: AnnotatedQuestion) -> Row:
    """A line of `chains.train.jsonl` or `chains.held_out.jsonl`."""
    question = annotated.question
    steps = [{"rationale": step.rationale, "support_titles": list(step.support_titles)} for step in annotated.steps]
    return {"id": question.id, "question": question.text, "answers": list(question.golden_answers), "steps": steps}


def write_row(file: TextIO, row: Row) -> None:
    """Append one JSON line."""
    file.write(json.dumps(row, ensure_ascii=False) + "\n")


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a temporary name for writing that becomes `path` only when the block ends well."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
