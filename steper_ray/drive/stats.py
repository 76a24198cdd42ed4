"""What came out of a run of the loop so far: counts, tokens, times, and how busy the engines were."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steper_ray.core.types import FailureKind
from steper_ray.drive.load import Load
from steper_ray.drive.starvation import Lately, Waits, use_of, warning_of


@dataclass
class LoopStats:
    """One execution; what earlier ones finished is part of `asked` alone."""

    asked: int = 0
    left: int = 0
    """Of those asked, not finished when this execution began."""
    quicker_search: str = "more retrievers"
    """What helps where steps wait for their passages."""
    finished: int = 0
    correct: int = 0
    steps: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    engine_s: float = 0.0
    """Time that steps spent waiting for their completion, summed, seconds."""
    search_s: float = 0.0
    """Time that steps spent waiting for their passages, summed, seconds."""
    writing_s: float = 0.0
    """Time spent writing parts, seconds."""
    failed: Counter[FailureKind] = field(default_factory=Counter)
    loads: list[Load] = field(default_factory=list)
    lately: Lately = field(default_factory=Lately)
    started: float = field(default_factory=time.monotonic)
    first_s: float | None = None
    """Time to the first finished trajectory, start of the engines included, seconds."""

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of `data.schemas.TRAJECTORIES`."""
        if self.first_s is None:
            self.first_s = self.seconds
        self.finished += 1
        self.correct += bool(row["correct"])
        for step in row["steps"]:
            self.steps += 1
            self.prompt_tokens += step["prompt_tokens"]
            self.cached_tokens += step["cached_tokens"]
            self.completion_tokens += step["completion_tokens"]
            self.engine_s += step["seconds"]
            self.search_s += step["search_seconds"]

    @property
    def done(self) -> int:
        """Finished or failed in this execution."""
        return self.finished + sum(self.failed.values())

    @property
    def seconds(self) -> float:
        """Wall time of this execution so far."""
        return time.monotonic() - self.started

    @property
    def rate_out(self) -> float:
        """Tokens written per second of this execution."""
        return self.completion_tokens / max(self.seconds, 1e-9)

    @property
    def cache_hit_rate(self) -> float:
        """Share of prompt tokens that the engine did not have to compute."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    @property
    def engine_use(self) -> float | None:
        """Mean share of the engines' capacity in use while there was work; None where that was too short to say."""
        return use_of(self.loads)

    @property
    def waits(self) -> Waits:
        """What steps waited for so far."""
        return Waits(self.steps, self.engine_s, self.search_s, self.quicker_search)

    def worked(self, load: Load) -> None:
        """An engine handed over a lease; what came of it is counted already."""
        self.loads.append(load)
        self.lately.add(time.monotonic(), load, self.waits)

    def starvation(self) -> str:
        """A warning when the engines waited for work although there was some, else nothing."""
        return warning_of(self.loads, self.waits)

    def starvation_lately(self) -> str:
        """The same about the last ten minutes."""
        return self.lately.warning(time.monotonic(), self.waits)

    def line(self) -> str:
        """The figures beside the bar."""
        seconds = max(self.seconds, 1e-9)
        failures = f" · {sum(self.failed.values())} failed" if self.failed else ""
        return (
            f"{self.correct} correct{failures} · tokens/s {self.prompt_tokens / seconds:.0f} in "
            f"{self.rate_out:.0f} out · cache {self.cache_hit_rate:.0%}"
        )

    def facts(self) -> dict[str, Any]:
        """The figures for the manifest and `stats.json`."""
        return {
            "seconds": round(self.seconds, 1),
            "first_trajectory_s": None if self.first_s is None else round(self.first_s, 1),
            "steps": self.steps,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
            "cache_hit_rate": round(self.cache_hit_rate, 4),
            "engine_use": None if self.engine_use is None else round(self.engine_use, 4),
            "engine_s_per_step": round(self.engine_s / self.steps, 4) if self.steps else None,
            "search_s_per_step": round(self.search_s / self.steps, 4) if self.steps else None,
            "writing_s": round(self.writing_s, 3),
        }
