"""The paragraphs that question files carry themselves: HotpotQA, 2WikiMultiHopQA and MuSiQue, as lists or Parquet."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.core.text import squeeze
from steper_ray.data.records import Record, read_records
from steper_ray.errors import InputError

_REMEDY = (
    "Needed is `context` (pairs of title and sentences, or {title, sentences}) or `paragraphs` (title, paragraph_text);"
    " give `steper index` a corpus file instead"
)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A title and a text, white space squeezed; the text may be empty."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """The paragraphs of one question."""

    paragraphs: tuple[Paragraph, ...]
    missing_gold: tuple[str, ...]
    """Titles of supporting facts that none of these paragraphs has."""


def read_contexts(path: Path) -> Iterator[Context]:
    """The context of each question of a file.

    Raises:
        InputError: broken file, a question without context or with one of another form, or no question at all.
    """
    empty = True
    for record in read_records(path):
        empty = False
        yield _context(record)
    if empty:
        raise InputError("holds no question", file=path)


def paragraph_of(record: Record, title: object, text: object, field: str) -> Paragraph:
    """A paragraph whose text is one string or a list of sentences.

    Raises:
        InputError: the title is not text or is empty; the text is neither.
    """
    parts: list[Any] = text if isinstance(text, list) else [text]
    if not all(isinstance(part, str) for part in parts):
        raise record.fault("must be text or a list of sentences", field=field, found=text)
    joined = " ".join(parts)
    return Paragraph(record.clean(title, field), record.clean(joined, field) if squeeze(joined) else "")


def _context(record: Record) -> Context:
    values = record.values
    if values.get("paragraphs"):
        return Context(tuple(_musique(record, values["paragraphs"])), ())
    metadata = values.get("metadata")
    holder = values if values.get("context") or not isinstance(metadata, Mapping) else metadata
    if not holder.get("context"):
        raise record.fault("has no context of its own", found=sorted(values), remedy=_REMEDY)
    paragraphs = tuple(_pairs(record, holder["context"]))
    titles = {paragraph.title for paragraph in paragraphs if paragraph.text}
    gold = dict.fromkeys(squeeze(title) for title in _gold(holder.get("supporting_facts")))
    return Context(paragraphs, tuple(title for title in gold if title not in titles))


def _musique(record: Record, rows: object) -> Iterator[Paragraph]:
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise record.fault("must be a list of paragraphs", field="paragraphs", found=rows, remedy=_REMEDY)
    for row in rows:
        yield paragraph_of(record, row.get("title"), row.get("paragraph_text", row.get("text")), "paragraphs")


def _pairs(record: Record, context: object) -> Iterator[Paragraph]:
    """From `[[title, sentences], …]` or, as in Parquet, `{title: […], sentences: […]}`."""
    if isinstance(context, Mapping):
        titles, texts = context.get("title"), context.get("sentences", context.get("content"))
        if not isinstance(titles, list) or not isinstance(texts, list) or len(titles) != len(texts):
            raise record.fault("must hold as many sentences as titles", field="context", found=context, remedy=_REMEDY)
        context = [list(pair) for pair in zip(titles, texts, strict=True)]
    if not isinstance(context, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in context):
        raise record.fault("must be a list of [title, sentences]", field="context", found=context, remedy=_REMEDY)
    for title, text in context:
        yield paragraph_of(record, title, text, "context")


def _gold(facts: Any) -> Iterable[str]:
    """Supporting titles, for a count alone: their form is checked where questions are read."""
    if isinstance(facts, Mapping):
        facts = [[title] for title in facts.get("title") or ()]
    rows = facts if isinstance(facts, list) else ()
    return [row[0] for row in rows if isinstance(row, list) and row and isinstance(row[0], str)]
