"""The gold support of questions as their data set's own script takes it: sentences, or numbers of paragraphs."""

from collections.abc import Hashable
from pathlib import Path

from steper_ray.core.text import squeeze
from steper_ray.data.questions import QuestionFormat
from steper_ray.data.records import Record, read_records


def read_gold_support(path: Path, format: QuestionFormat) -> dict[str, frozenset[Hashable]]:
    """By question id; empty for a generic file, whose questions name passages alone.

    Raises:
        InputError: a supporting fact without a sentence number, or a paragraph that is no object.
    """
    if format is QuestionFormat.GENERIC:
        return {}
    read = _paragraphs if format is QuestionFormat.MUSIQUE else _sentences
    return {record.id(): read(record) for record in read_records(path)}


def fact(title: str, sentence: int) -> Hashable:
    """One sentence, white space in the title squeezed."""
    return squeeze(title), sentence


def _sentences(record: Record) -> frozenset[Hashable]:
    facts = record.values.get("supporting_facts") or []
    if isinstance(facts, dict):  # as in Parquet
        facts = [[title, sentence] for title, sentence in zip(facts["title"], facts["sent_id"], strict=True)]
    for row in facts:
        if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str) or type(row[1]) is not int:
            raise record.fault("must be [title, sentence number]", field="supporting_facts", found=row)
    return frozenset(fact(title, sentence) for title, sentence in facts)


def _paragraphs(record: Record) -> frozenset[Hashable]:
    rows = record.values.get("paragraphs") or []
    for row in rows:
        if not isinstance(row, dict):
            raise record.fault("must be an object", field="paragraphs[]", found=row)
    return frozenset(row.get("idx", place) for place, row in enumerate(rows) if row.get("is_supporting"))
