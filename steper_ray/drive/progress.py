"""The live line of a run of the loop: done, correct, failures, tokens per second, cache hits, time left."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from steper_ray.core.types import FailureKind


@dataclass
class LoopStats:
    """What came out so far in this execution."""

    finished: int = 0
    correct: int = 0
    steps: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    failed: Counter[FailureKind] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of `data.schemas.TRAJECTORIES`."""
        self.finished += 1
        self.correct += bool(row["correct"])
        for step in row["steps"]:
            self.steps += 1
            self.prompt_tokens += step["prompt_tokens"]
            self.cached_tokens += step["cached_tokens"]
            self.completion_tokens += step["completion_tokens"]

    @property
    def seconds(self) -> float:
        """Wall time of this execution so far."""
        return time.monotonic() - self.started

    @property
    def cache_hit_rate(self) -> float:
        """Share of prompt tokens that the engine did not have to compute."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    def line(self) -> str:
        """The figures beside the bar."""
        failures = f" · {sum(self.failed.values())} failed" if self.failed else ""
        return (
            f"{self.correct} correct{failures} · {self.completion_tokens / self.seconds:.0f} tokens/s out"
            f" · cache {self.cache_hit_rate:.0%}"
        )

    def facts(self) -> dict[str, Any]:
        """The figures for the manifest."""
        return {
            "seconds": round(self.seconds, 1),
            "steps": self.steps,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
            "cache_hit_rate": round(self.cache_hit_rate, 4),
        }


class LoopProgress:
    """A progress bar over questions; use as a context manager."""

    def __init__(self, title: str, total: int, stats: LoopStats) -> None:
        self._stats = stats
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn(title),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        self._task = self._progress.add_task(title, total=total, figures="engines are starting")

    def __enter__(self) -> "LoopProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self) -> None:
        """One more question is done."""
        self._progress.update(self._task, advance=1, figures=self._stats.line())
