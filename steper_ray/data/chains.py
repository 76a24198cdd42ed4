"""The reader of annotated chains of reasoning: rationales by question id, ready to be replayed as a teacher's."""

from collections.abc import Callable
from pathlib import Path

from steper_ray.core.answers import extract_answer, holds_marker
from steper_ray.core.prompts import MARKER
from steper_ray.core.text import squeeze
from steper_ray.data.records import Record, read_records
from steper_ray.errors import InputError


def read_chains(path: Path) -> dict[str, tuple[str, ...]]:
    """The rationales of each chain by question id, from JSON Lines with `id` and `steps[].rationale`.

    Raises:
        InputError: broken file, duplicate id, no steps, a rationale that is empty or not one line, or a marker
            `So the answer is:` that is missing in the last step or stands in an earlier one.
    """
    return rationales_by_id(path, _rationales, "holds no chain")


def rationales_by_id(path: Path, read: Callable[[Record], tuple[str, ...]], empty: str) -> dict[str, tuple[str, ...]]:
    """What `read` finds in each row of a file, by the row's id.

    Raises:
        InputError: broken file, duplicate id, whatever `read` raises, or `empty` where the file has no row.
    """
    found: dict[str, tuple[str, ...]] = {}
    places: dict[str, str] = {}
    for record in read_records(path):
        id = record.id()
        if id in found:
            raise record.fault(f"duplicate id, first in {places[id]}", field="id", found=id)
        found[id], places[id] = read(record), record.place
    if not found:
        raise InputError(empty, file=path)
    return found


def _rationales(record: Record) -> tuple[str, ...]:
    steps = record.values.get("steps")
    if not isinstance(steps, list) or not steps:
        raise record.fault("must be a list of steps", field="steps", found=steps)
    rationales = tuple(_rationale(record, step, number) for number, step in enumerate(steps))
    for number, rationale in enumerate(rationales[:-1]):
        if holds_marker(rationale):
            raise record.fault(
                f"the marker '{MARKER}' ends a chain, but steps follow", field=_field(number), found=rationale
            )
    if not extract_answer(rationales[-1]):
        raise record.fault(
            f"the last step must hold '{MARKER}' and an answer", field=_field(len(steps) - 1), found=rationales[-1]
        )
    return rationales


def _rationale(record: Record, step: object, number: int) -> str:
    value = step.get("rationale") if isinstance(step, dict) else None
    rationale = record.clean(value, _field(number), remedy="Every step needs a rationale of one line")
    if isinstance(value, str) and len(value.strip().splitlines()) > 1:
        raise record.fault("must be one line", field=_field(number), found=value, remedy="Join it, or split the step")
    return squeeze(rationale)


def _field(number: int) -> str:
    return f"steps[{number}].rationale"
