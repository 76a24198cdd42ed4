"""One small actor per run that outlives the engines: it numbers them, counts their deaths and says when to give up."""

from dataclasses import dataclass, field
from typing import Any

import ray

DEATHS_IN_A_ROW = 3
_NO_WORD = "it was killed (out of memory, perhaps), or its node was lost"


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is told when it starts."""

    number: int
    """Of the worker in this run, from 0."""
    restarts: int
    stop: str = ""
    """Why it must not go on, if so."""


@dataclass
class _Worker:
    number: int
    restarts: int = 0
    fruitless: int = 0
    """Deaths since the last progress."""
    last_words: str = ""


@dataclass
class Foreman:
    """Keeps the book of a run's workers, by the ids of their actors; those stay the same over restarts."""

    workers: dict[str, _Worker] = field(default_factory=dict)
    stopped: str = ""

    def begin(self, worker: str) -> Start:
        """A worker's process starts, for the first time or after a death."""
        known = self.workers.get(worker)
        if known is None:
            known = self.workers[worker] = _Worker(len(self.workers))
            return Start(known.number, 0, self.stopped)
        known.restarts += 1
        known.fruitless += 1
        if known.fruitless >= DEATHS_IN_A_ROW:
            self.stopped = (
                f"engine {known.number} died {known.fruitless} times in a row without progress; "
                f"the last time: {known.last_words or _NO_WORD}"
            )
        known.last_words = ""
        return Start(known.number, known.restarts, self.stopped)

    def progress(self, worker: str) -> None:
        """A worker handed over a lease with a finished trajectory; one of failures alone is none: an engine that dies
        fails whatever it has."""
        self.workers[worker].fruitless = 0

    def note(self, worker: str, message: str) -> None:
        """A worker's engine said this; it may be its last word."""
        self.workers[worker].last_words = message

    def why_stopped(self) -> str:
        """The reason to give up, or nothing."""
        return self.stopped

    def deaths(self) -> int:
        """Restarts of all workers."""
        return sum(worker.restarts for worker in self.workers.values())


def start_foreman() -> Any:
    """A foreman actor; it takes no CPU of the cluster."""
    remote: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Foreman)
    return remote.remote()
