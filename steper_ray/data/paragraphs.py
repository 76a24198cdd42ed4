"""The numbers that MuSiQue gives to the paragraphs of a question, found by their content."""

from collections.abc import Container, Mapping
from pathlib import Path

from steper_ray.core.identity import content_id
from steper_ray.data.contexts import paragraph_of
from steper_ray.data.records import Record, read_records

Numbers = Mapping[str, tuple[int, ...]]
"""Numbers by `content_id`; a paragraph that stands there twice has two."""


def paragraph_numbers(path: Path, ids: Container[str]) -> dict[str, Numbers]:
    """By question id, for the questions asked; empty for one without paragraphs.

    Raises:
        InputError: a paragraph is no object or has no title, or its text or number is of another type.
    """
    return {id: _numbers(record) for record in read_records(path) if (id := record.id()) in ids}


def _numbers(record: Record) -> Numbers:
    found: dict[str, tuple[int, ...]] = {}
    for place, row in enumerate(record.values.get("paragraphs") or ()):
        if not isinstance(row, Mapping):
            raise record.fault("must be an object", field="paragraphs[]", found=row)
        paragraph = paragraph_of(record, row.get("title"), row.get("paragraph_text", ""), "paragraphs")
        number = row.get("idx", place)
        if not isinstance(number, int) or isinstance(number, bool):
            raise record.fault("must be a whole number", field="paragraphs[].idx", found=number)
        name = content_id(paragraph.title, paragraph.text)
        found[name] = (*found.get(name, ()), number)
    return found
