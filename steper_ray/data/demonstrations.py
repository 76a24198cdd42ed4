"""Worked examples for the teacher's prompt: JSONL with `question` and `steps[] = {rationale, passages[]}`."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from steper_ray.core.answers import extract_answer
from steper_ray.core.types import Passage, Question, Step, StopReason, Trajectory
from steper_ray.errors import InputError

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


def read_demonstrations(path: Path | None) -> tuple[Trajectory, ...]:
    """The worked examples of a file, in its order; none without a file.

    Raises:
        InputError: the file or a line of it is not as described.
    """
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", file=path, remedy=_REMEDY) from None
    return tuple(_demonstration(line, path, number) for number, line in enumerate(lines, 1) if line.strip())


def _demonstration(text: str, path: Path, number: int) -> Trajectory:
    try:
        line = _DemonstrationLine.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", file=path, line=number, remedy=_REMEDY) from None
    except ValidationError as error:
        fault: Any = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise InputError(fault["msg"], file=path, line=number, field=field, found=fault["input"]) from None
    steps = tuple(
        Step("", (), tuple(Passage("", shown.title, shown.text) for shown in step.passages), step.rationale)
        for step in line.steps
    )
    answer = extract_answer(steps[-1].rationale) if steps else ""
    if not answer:
        raise InputError(
            "the last rationale does not hold 'So the answer is: …'", file=path, line=number, remedy=_REMEDY
        )
    return Trajectory(Question("", line.question), steps=steps, answer=answer, stop=StopReason.ANSWERED)
