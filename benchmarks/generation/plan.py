"""What a contender's process is told, and what it tells back."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.generation.engine import section
from steper_ray.core.types import Layout
from steper_ray.sections.model import ModelSection

FLUSH_ROWS, FLUSH_S = 1, 30.0
"""Rows per part in every contender: a trajectory is written as soon as it is finished."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings that all contenders share."""

    workload: Path
    model: Path
    layout: Layout = Layout.TURNS
    k: int = 4
    batch: int = 32
    """Most sequences at once in every engine."""
    in_flight: int | None = 32
    """Questions in flight of our own contender; None: as many as its engine has room for."""
    kv_gib: float = 4.0
    chained_kv_gib: float = 0.5
    """KV cache of each of the chained engines."""
    threads: int = 2
    seed: int = 7

    def section(self) -> ModelSection:
        """The engine's settings."""
        return section(self.model, self.batch, self.kv_gib)

    def to_json(self) -> str:
        """For the command line of a contender."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """What `to_json` wrote."""
        values = json.loads(text)
        places = {name: Path(values.pop(name)) for name in ("workload", "model")}
        return cls(**{**values, **places, "layout": Layout(values["layout"])})


@dataclass(frozen=True, slots=True)
class Measured:
    """What a contender did, in times of `time.time()`."""

    started: float
    """The engine got its first request."""
    ended: float
    """The last trajectory was written."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_written: float | None = None
    figures: dict[str, float] | None = None
    """Further figures, of this contender alone."""
    steps: Sequence[Sequence[int]] = ()
    """For each question with its number of steps first: prompt tokens less cached ones, summed over the steps."""

    def to_json(self) -> str:
        """For the file of results."""
        return json.dumps(asdict(self))


def usage(outputs: Sequence[Any]) -> tuple[int, int, int]:
    """Prompt, cached and completion tokens of vLLM's outputs."""
    return (
        sum(len(output.prompt_token_ids) for output in outputs),
        sum(output.num_cached_tokens or 0 for output in outputs),
        sum(len(output.outputs[0].token_ids) for output in outputs),
    )
