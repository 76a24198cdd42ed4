"""The unit of training: one token sequence whose target tokens belong to stages.

In `turns` a unit is a whole trajectory, since every prompt is a token prefix of the next; in `appended` it is one
sample.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from steper_ray.core.types import STAGES, Prompt, Sample, Stage
from steper_ray.errors import ConfigError

STAGE_NUMBER: dict[Stage, int] = {stage: number for number, stage in enumerate(STAGES)}


class TokenFormat(Protocol):
    """What turns prompts and targets into ids: `core.chat.ChatFormat`."""

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt."""

    def target_ids(self, text: str) -> list[int]:
        """Token ids of a target, end of turn included."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The target of one sample: tokens `start` to `stop` (exclusive) of its unit; `start` is at least 1."""

    sample_id: str
    stage: Stage
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One token sequence. `token_ids` is (length,) int32; `segments` are in order and do not overlap."""

    id: str
    question_id: str
    token_ids: NDArray[np.int32]
    segments: tuple[Segment, ...]
    steps: int = 0
    """Number of its last step; 0 when unknown."""
    passages: int = 0
    """Different passages that its prompts show."""

    def __len__(self) -> int:
        """Length in tokens."""
        return len(self.token_ids)


UnitBuilder = Callable[[Sequence[Sample], TokenFormat], list[Unit]]
"""Makes units of the samples of one trajectory."""


def appended_units(samples: Sequence[Sample], form: TokenFormat) -> list[Unit]:
    """One unit per sample: its prompt, then its target."""
    units = []
    for sample in samples:
        prompt, target = form.prompt_ids(sample.prompt), form.target_ids(sample.target)
        segment = Segment(sample.id, sample.stage, len(prompt), len(prompt) + len(target))
        ids = _ids([*prompt, *target])
        units.append(Unit(sample.id, sample.question_id, ids, (segment,), sample.step, len(set(sample.passage_ids))))
    return units


def turns_units(samples: Sequence[Sample], form: TokenFormat) -> list[Unit]:
    """One unit for all samples of one trajectory, whose prompts must each start with the sequence before.

    Raises:
        ConfigError: a prompt does not continue the one before; names the sample.
    """
    ordered = sorted(samples, key=lambda sample: sample.step)
    sequence: list[int] = []
    segments: list[Segment] = []
    for sample in ordered:
        prompt, target = form.prompt_ids(sample.prompt), form.target_ids(sample.target)
        if prompt[: len(sequence)] != sequence:
            raise ConfigError(
                f"sample {sample.id}: its prompt does not continue the turns before it "
                f"(token {_first_difference(prompt, sequence)} differs), so loop.layout=turns cannot be trained in "
                "one pass; make the samples again with this model's chat template, or use loop.layout=appended"
            )
        segments.append(Segment(sample.id, sample.stage, len(prompt), len(prompt) + len(target)))
        sequence = [*prompt, *target]
    last = ordered[-1]
    passages = {passage for sample in ordered for passage in sample.passage_ids}
    name = f"{last.question_id}#{last.path}"
    return [Unit(name, last.question_id, _ids(sequence), tuple(segments), last.step, len(passages))]


def _ids(values: Iterable[int]) -> NDArray[np.int32]:
    return np.fromiter(values, dtype=np.int32)


def _first_difference(left: Sequence[int], right: Sequence[int]) -> int:
    return next((place for place, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(left))
