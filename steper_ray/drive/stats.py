"""What came out of a run of the loop so far: counts, tokens, times, and how busy the engines were."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from steper_ray.core.types import FailureKind
from steper_ray.drive.load import Load
from steper_ray.drive.pace import Pace
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
    judged: int = 0
    """Finished whose gold answer is known."""
    correct: int = 0
    """Of those judged."""
    steps: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    engine_s: float = 0.0
    """Time that steps spent waiting for their completion, summed, seconds."""
    search_s: float = 0.0
    """Time that steps spent waiting for their passages, summed, seconds."""
    waited_s: float = 0.0
    """Time that finished questions waited for a place at their engine, summed, seconds."""
    took_s: float = 0.0
    """Time from then to their end, summed, seconds."""
    writing_s: float = 0.0
    """Time spent writing parts, seconds."""
    failed: Counter[FailureKind] = field(default_factory=Counter)
    loads: list[Load] = field(default_factory=list)
    lately: Lately = field(default_factory=Lately)
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    first_written_s: float | None = None
    """Time to the first part, start of the engines included, seconds."""
    began: float | None = None
    """When the first finished question entered its engine, by the clock: the engines' start is over."""
    pace: Pace = field(init=False)
    """Of questions, prompt tokens and completion tokens."""

    def __post_init__(self) -> None:
        self.started, self.pace = self.clock(), Pace(clock=self.clock)

    def add(self, row: Mapping[str, Any], waited_s: float = 0.0, took_s: float = 0.0) -> None:
        """Count a row of `data.schemas.TRAJECTORIES`, that waited for a place and then took so long, seconds."""
        took_s = min(took_s, self.seconds)
        if self.began is None:
            self.began = self.clock() - took_s
        self.finished += 1
        self.judged += row["correct"] is not None
        self.correct += bool(row["correct"])
        self.waited_s += waited_s
        self.took_s += took_s
        for step in row["steps"]:
            self.steps += 1
            self.prompt_tokens += step["prompt_tokens"]
            self.cached_tokens += step["cached_tokens"]
            self.completion_tokens += step["completion_tokens"]
            self.engine_s += step["seconds"]
            self.search_s += step["search_seconds"]
        self.pace.note(self.done, self.prompt_tokens, self.completion_tokens, began_s=took_s)

    def fail(self, kind: FailureKind) -> None:
        """Count a question that could not be finished."""
        self.failed[kind] += 1
        self.pace.note(self.done, self.prompt_tokens, self.completion_tokens)

    @property
    def done(self) -> int:
        """Finished or failed in this execution."""
        return self.finished + sum(self.failed.values())

    @property
    def all_done(self) -> int:
        """Of those asked, done in this execution or finished before it."""
        return self.asked - self.left + self.done

    @property
    def left_s(self) -> float | None:
        """Time left at the pace of the last minutes, seconds; None where that cannot be said."""
        rates = self.pace.rates()
        if rates is None or rates[0] <= 0:
            return None
        return (self.left - self.done) / rates[0]

    @property
    def seconds(self) -> float:
        """Wall time of this execution so far."""
        return self.clock() - self.started

    def rate(self, tokens: int) -> float:
        """So many tokens per second of this execution, the start of the engines left out."""
        return tokens / max(self.clock() - (self.began or self.started), 1e-9)

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
        """The figures beside the bar, tokens per second of the last minutes; empty before anything is done."""
        if not self.done:
            return ""
        failed, rates = sum(self.failed.values()), self.pace.rates()
        parts = [
            self._correct_words() if self.finished else "",
            f"{failed:,} failed" if failed else "",
            f"tokens/s {rates[1]:,.0f} in {rates[2]:,.0f} out" if rates else "",
            f"cache {self.cache_hit_rate:.0%}",
        ]
        return " · ".join(part for part in parts if part)

    def _correct_words(self) -> str:
        if not self.judged:
            return "correct: not known"
        return f"{self.correct:,} correct" + (f" of {self.judged:,} judged" if self.judged < self.finished else "")

    def times(self) -> dict[str, float]:
        """Where the time of the finished questions went, summed over them, seconds.

        `place`: waiting for a place at their engine; `engine_queue`: in the engine, beyond its batch (also of questions
        that failed); `engine`: in its batch; `search`: waiting for passages; `other`: prompts, tokens, the event loop.
        """
        queued_s = min(self.engine_s, sum(load.queued_s for load in self.loads))
        return {
            "place": self.waited_s,
            "engine_queue": queued_s,
            "engine": self.engine_s - queued_s,
            "search": self.search_s,
            "other": max(0.0, self.took_s - self.engine_s - self.search_s),
        }

    def facts(self) -> dict[str, Any]:
        """The figures for the manifest and `stats.json`."""
        return {
            "seconds": round(self.seconds, 1),
            "first_written_s": None if self.first_written_s is None else round(self.first_written_s, 1),
            "tokens_per_s_in": round(self.rate(self.prompt_tokens), 1),
            "tokens_per_s_out": round(self.rate(self.completion_tokens), 1),
            "steps": self.steps,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
            "cache_hit_rate": round(self.cache_hit_rate, 4),
            "engine_use": None if self.engine_use is None else round(self.engine_use, 4),
            "engine_s_per_step": round(self.engine_s / self.steps, 4) if self.steps else None,
            "search_s_per_step": round(self.search_s / self.steps, 4) if self.steps else None,
            "question_s": {name: round(spent / self.finished, 3) for name, spent in self.times().items()}
            if self.finished
            else None,
            "writing_s": round(self.writing_s, 3),
        }
