"""The corpus reader: passages one by one from JSON Lines or Parquet, every fault named with its place."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from steper_ray.core.identity import corpus_line
from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage
from steper_ray.core.words import longer_than
from steper_ray.data.records import Record, read_records
from steper_ray.errors import InputError

ID_BYTES = 512
"""Longest id; Lucene's own limit is 32,766 bytes."""


def read_corpus(path: Path, passage_words: int | None = None) -> Iterator[Passage]:
    """The passages of a corpus with `_id` or `id`, `text` or `contents`, and perhaps `title`; white space squeezed.

    Nothing but one 64-bit hash per id is held in memory, so a corpus may be larger than it.

    Raises:
        InputError: on the first faulty line or row, a duplicate id, a text of more than `passage_words` words (see
            `core.words`), or when there is no passage at all.
    """
    seen: set[int] = set()
    for record in read_records(path):
        passage = _passage(record)
        if passage_words is not None:
            _check_length(record, passage, passage_words)
        mark = hash(passage.id)
        if mark in seen:
            _refuse_duplicate(record, passage.id)
        seen.add(mark)
        yield passage
    if not seen:
        raise InputError("holds no passage", file=path, remedy="One JSON object with `_id`, `title`, `text` per line")


def corpus_digest(path: Path, passage_words: int | None = None) -> str:
    """The digest that an index of this corpus has in its facts; reads all of it. Raises as `read_corpus`."""
    digest = hashlib.sha256()
    for passage in read_corpus(path, passage_words):
        digest.update(corpus_line(passage))
    return digest.hexdigest()


def _passage(record: Record) -> Passage:
    id = record.id()
    if len(id.encode()) > ID_BYTES:
        raise record.fault(f"is longer than {ID_BYTES} bytes", field="id", found=id)
    title = record.values.get("title")
    no_title = title is None or (isinstance(title, str) and not squeeze(title))
    text = record.text("text", "contents", remedy="Every passage needs a text; remove this one or complete it")
    return Passage(id, "" if no_title else record.clean(title, "title"), text)


def _check_length(record: Record, passage: Passage, most: int) -> None:
    count = longer_than(passage.text, most)
    if count is not None:
        raise record.fault(
            f"passage {passage.id!r} has {count:,} words, more than index.passage_words={most}",
            field=record.first_of("text", "contents"),
            remedy="Cut documents into passages with `steper corpus split IN OUT`, or raise index.passage_words",
        )


def _refuse_duplicate(record: Record, id: str) -> None:
    """Two ids may share a hash, so the file is read again up to this row."""
    for earlier in read_records(record.file):
        if earlier.number >= record.number:
            return
        if earlier.id() == id:
            raise record.fault(
                f"duplicate id, first in {earlier.place}", field="id", found=id, remedy="Ids must be unique"
            )
