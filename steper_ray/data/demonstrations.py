"""Worked examples for the teacher's prompt: lines with `question` and `steps[] = {rationale, passages[]}`."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from steper_ray.core.answers import extract_answer, holds_marker
from steper_ray.core.prompts import MARKER
from steper_ray.core.types import Passage, Question, Step, StopReason, Strategy, Trajectory
from steper_ray.data.records import Record, read_records
from steper_ray.errors import ConfigError, InputError
from steper_ray.sections.model import ModelSection

BUILTIN = Path(__file__).parent / "demonstrations"
"""Folder of our own worked examples, a file per strategy; the facts in them are invented or common knowledge."""

_REMEDY = "Each line: {question, steps: [{rationale, passages: [{title, text}]}]}"


class _PassageLine(BaseModel):
    model_config = ConfigDict(extra="ignore")
    title: str = ""
    text: str


class _StepLine(BaseModel):
    rationale: str
    passages: tuple[_PassageLine, ...] = ()


class _DemonstrationLine(BaseModel):
    model_config = ConfigDict(extra="ignore")
    question: str
    steps: tuple[_StepLine, ...]


def demonstrations_of(section: ModelSection, strategy: Strategy) -> tuple[Trajectory, ...]:
    """The worked examples that a role is shown: of its file or ours, all or as many as asked.

    Raises:
        ConfigError: more are asked for than there are.
        InputError: as `read_demonstrations`.
    """
    source = section.demonstrations
    path = BUILTIN / f"{strategy}.jsonl" if source == "builtin" else source
    found = read_demonstrations(path) if path else ()
    return choose(found, section.demonstrations_count, section.demonstrations_seed)


def choose(found: Sequence[Trajectory], count: int | None, seed: int) -> tuple[Trajectory, ...]:
    """So many of the examples, chosen and ordered by the seed; without a count all, as they are.

    Raises:
        ConfigError: there are not so many.
    """
    if count is None:
        return tuple(found)
    if count > len(found):
        raise ConfigError(
            f"demonstrations_count asks for {count} worked examples, found {len(found)}; lower it, or give "
            "demonstrations=FILE with more of them"
        )
    return tuple(random.Random(seed).sample(list(found), count))


def read_demonstrations(path: Path) -> tuple[Trajectory, ...]:
    """The worked examples of a file, in its order.

    Raises:
        InputError: the file or a line of it is not as described, or there is none.
    """
    found = tuple(_demonstration(record) for record in read_records(path))
    if not found:
        raise InputError("holds no worked example", file=path, remedy=_REMEDY)
    return found


def _demonstration(record: Record) -> Trajectory:
    try:
        line = _DemonstrationLine.model_validate(record.values)
    except ValidationError as error:
        fault: Any = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise record.fault(fault["msg"], field=field, found=fault["input"], remedy=_REMEDY) from None
    steps = tuple(
        Step(
            "",
            (),
            tuple(Passage("", shown.title, shown.text) for shown in step.passages),
            record.clean(step.rationale, f"steps.{number}.rationale"),
        )
        for number, step in enumerate(line.steps)
    )
    answer = extract_answer(steps[-1].rationale) if steps else ""
    if not answer:
        raise record.fault(f"the last rationale does not hold '{MARKER} …'", field="steps", remedy=_REMEDY)
    for number, step in enumerate(steps[:-1]):
        if holds_marker(step.rationale):
            raise record.fault(
                f"'{MARKER}' ends the reasoning, but steps follow", field=f"steps.{number}", found=step.rationale
            )
    question = Question("", record.clean(line.question, "question"))
    return Trajectory(question, steps=steps, answer=answer, stop=StopReason.ANSWERED)
