"""The reader of MuSiQue's question decompositions: self-ask rationales by question id, ready to be replayed.

For sub-questions q_1 … q_n with answers a_1 … a_n the rationales are

    r_1       Follow up: q_1
    r_s       Intermediate answer: a_(s-1). Follow up: q_s
    r_(n+1)   Intermediate answer: a_n. So the answer is: a.

where a is the question's answer. A sub-question refers to earlier answers as #1, #2 …; the answers are put there. The
sub-questions stay as MuSiQue has them, relations ("Hank Snow >> place of birth") among them.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steper_ray.core.answers import holds_marker
from steper_ray.core.prompts import MARKER
from steper_ray.data.chains import rationales_by_id
from steper_ray.data.records import Record

FIELD = "question_decomposition"
_REFERENCE = re.compile(r"#(\d+)")


def read_decompositions(path: Path) -> dict[str, tuple[str, ...]]:
    """The rationales of each question by id, from a MuSiQue file; one more than it has sub-questions.

    Raises:
        InputError: broken file, duplicate id, no decomposition, a sub-question or answer that is missing, empty or
            holds the marker, or a reference to an answer that is not yet known.
    """
    return rationales_by_id(path, _rationales, "holds no question")


def _rationales(record: Record) -> tuple[str, ...]:
    parts = record.values.get(FIELD)
    if not isinstance(parts, list) or not parts:
        raise record.fault("must be a list of sub-questions", field=FIELD, found=parts)
    answers: list[str] = []
    rationales: list[str] = []
    for number, part in enumerate(parts):
        asked = _text(record, part, number, "question")
        follow_up = f"Follow up: {_with_answers(record, asked, answers, len(parts), number)}"
        rationales.append(f"Intermediate answer: {answers[-1]}. {follow_up}" if answers else follow_up)
        answers.append(_text(record, part, number, "answer").removesuffix("."))
    answer = record.text("answer").removesuffix(".")
    return (*rationales, f"Intermediate answer: {answers[-1]}. {MARKER} {answer}.")


def _text(record: Record, part: Any, number: int, name: str) -> str:
    field = f"{FIELD}[{number}].{name}"
    text = record.clean(part.get(name) if isinstance(part, Mapping) else None, field)
    if holds_marker(text):
        raise record.fault(f"holds the marker '{MARKER}', which ends a chain", field=field, found=text)
    return text


def _with_answers(record: Record, asked: str, answers: Sequence[str], parts: int, number: int) -> str:
    """The sub-question with its references filled in; "#40" in a question of four parts is a text like any other."""

    def fill(found: re.Match[str]) -> str:
        reference = int(found[1])
        if 1 <= reference <= len(answers):
            return answers[reference - 1]
        if len(answers) < reference <= parts:
            raise record.fault(
                f"refers to answer {reference}, which is not known in sub-question {number + 1}",
                field=f"{FIELD}[{number}].question",
                found=asked,
            )
        return found[0]

    return _REFERENCE.sub(fill, asked)
