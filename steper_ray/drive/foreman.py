"""One small actor per run that outlives the engines: it numbers them, counts their deaths and says when to give up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from steper_ray.drive.tray import Told, Tray

DEATHS = 3
"""Of one engine without progress in between, to stop the job."""
LEASE_DEATHS = 2
"""Of engines over one lease, to give it up: the first with others open beside it, the second while it ran alone."""
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
    open: set[int] = field(default_factory=set)
    """Leases that it works on."""


@dataclass
class Foreman:
    """Keeps the book of a run's workers, by the ids of their actors; those stay the same over restarts."""

    workers: dict[str, _Worker] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)
    """Deaths of engines by the leases they had open: one of their questions may be what kills."""
    stopped: str = ""
    tray: Tray = field(default_factory=Tray)

    def begin(self, worker: str) -> Start:
        """A worker's process starts, for the first time or after a death."""
        if worker not in self.workers:
            return Start(self._known(worker).number, 0, self.stopped)
        known = self.workers[worker]
        known.restarts += 1
        known.fruitless += 1
        self.deaths.update(known.open)
        known.open.clear()
        if known.fruitless >= DEATHS:
            self.stopped = (
                f"engine {known.number} died {known.fruitless} times in a row without progress; "
                f"the last time: {known.last_words or _NO_WORD}"
            )
        known.last_words = ""
        return Start(known.number, known.restarts, self.stopped)

    def suspects(self, lease: int) -> bool:
        """Whether an engine died while this lease was open, so that no other suspect should run beside it."""
        return self.deaths[lease] > 0

    def take(self, worker: str, lease: int) -> bool:
        """Whether a worker may open a lease: not after so many engines died over it."""
        self._known(worker).open.add(lease)
        return self.deaths[lease] < LEASE_DEATHS

    def finish(self, worker: str, lease: int, *, progress: bool) -> None:
        """A worker handed over a lease; one of failures alone is no progress: an engine that dies fails all it has."""
        known = self._known(worker)
        known.open.discard(lease)
        if progress:
            known.fruitless = 0

    def lay(self, worker: str, told: Sequence[Told]) -> None:
        """A worker tells of finished questions whose leases are not done yet; this is progress."""
        self._known(worker).fruitless = 0
        self.tray.lay(told)

    def exchange(self, got: Sequence[tuple[int, int]], closed: Sequence[int]) -> list[Told]:
        """The driver takes what lies on the tray; see `Tray.exchange`."""
        return self.tray.exchange(got, closed)

    def rows_taken(self, lease: int) -> set[int]:
        """Rows of an open lease that the driver has already."""
        return self.tray.taken.get(lease, set())

    def note(self, worker: str, message: str) -> None:
        """A worker's engine said this; it may be its last word."""
        self._known(worker).last_words = message

    def _known(self, worker: str) -> _Worker:
        """A foreman that was itself restarted meets workers in the middle of their work."""
        return self.workers.setdefault(worker, _Worker(len(self.workers)))

    def why_stopped(self) -> str:
        """The reason to give up, or nothing."""
        return self.stopped


def start_foreman() -> Any:
    """A foreman actor on the driver's node, with which it would die anyway; it takes no CPU."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    options: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
    return ray.remote(**options)(Foreman).remote()
