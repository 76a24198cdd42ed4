"""2WikiMultiHopQA's `id_aliases.json`: further names of answers, by the answer's id in Wikidata."""

from collections.abc import Mapping
from pathlib import Path

from steper_ray.core.text import squeeze
from steper_ray.data.records import Record, read_records


def read_aliases(path: Path) -> dict[str, tuple[str, ...]]:
    """Aliases and demonyms by id, each once; empty texts are left out.

    Raises:
        InputError: broken file, a row without `Q_id`, or names that are no list of texts.
    """
    return {record.text("Q_id"): tuple(dict.fromkeys(_names(record))) for record in read_records(path)}


def aliases_of(record: Record, known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The further names of a question's answer, found by its `answer_id`."""
    id = record.values.get("answer_id")
    return known.get(id, ()) if isinstance(id, str) else ()


def _names(record: Record) -> list[str]:
    names = []
    for field in ("aliases", "demonyms"):
        values = record.values.get(field) or []
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise record.fault("must be a list of texts", field=field, found=values)
        names += [squeeze(value) for value in values if squeeze(value)]
    return names
