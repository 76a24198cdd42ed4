"""Whether a corpus holds any of the questions' gold passages: where it holds none, recall could only be 0."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from steper_ray.core.identity import content_id
from steper_ray.core.recall import gold_names
from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage, Question
from steper_ray.data.corpus import read_corpus
from steper_ray.errors import InputError


def foreign_corpus_warning(corpus: Path | None, questions: Sequence[Question]) -> str | None:
    """A warning when no gold passage of any question is in the corpus; reads it up to the first that is.

    A corpus that is no longer there, or that cannot be read any more, is not judged: the index was built of it before.
    """
    if corpus is None or not corpus.is_file():
        return None
    gold = set[str]().union(*map(gold_names, questions))
    try:
        if not gold or holds_any(read_corpus(corpus), gold):
            return None
    except InputError:
        return None
    example = min(gold)
    return (
        f"none of the questions' {len(gold):,} gold passages is in {corpus}, not {example!r} either: recall will be 0. "
        "Titles must be written alike in both; is it the corpus of these questions?"
    )


def holds_any(passages: Iterable[Passage], gold: set[str]) -> bool:
    """Whether any passage has one of these ids, titles or content ids."""
    return any(
        passage.id in gold or squeeze(passage.title) in gold or content_id(passage.title, passage.text) in gold
        for passage in passages
    )
