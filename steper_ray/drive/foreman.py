"""One small actor per run that outlives the engines: it numbers them, counts their deaths and says which to give up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from steper_ray.drive.tray import Told, Tray

DEATHS = 3
"""Of one engine without progress in between, to give it up; the job stops when no other is promising."""
LEASE_DEATHS = 2
"""Of engines over one lease, to give it up: the first with others open beside it, the second while it ran alone."""
QUEUED_LEASES = 2
"""That an actor is given beyond those it opens."""
_NO_WORD = "it was killed (out of memory, perhaps), or its node was lost"


class Rest(StrEnum):
    """What a retired worker does with a lease that it was given."""

    WAIT = "wait"
    """Others work: what they do matters more than what this lease comes to."""
    HAND_BACK = "hand_back"
    """Nothing else is left: its questions become failures, which the next run tries again."""
    STOP = "stop"
    """The others are gone and leave work behind: the job ends."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is told when it starts."""

    number: int
    """Of the worker in this run, from 0."""
    restarts: int
    stop: str = ""
    """Why the job must not go on, if so."""
    retired: str = ""
    """Why this worker must not load an engine again, if so; the job goes on with the others."""


@dataclass
class _Worker:
    number: int
    restarts: int = 0
    fruitless: int = 0
    """Deaths since the last progress."""
    last_words: str = ""
    open: set[int] = field(default_factory=set)
    """Leases that it works on."""
    starting: bool = False
    """Its process runs, and its engine is not loaded yet."""
    refused: bool = False
    """Its engine did not load when it was last tried."""
    fruitful: bool = False
    """Whether it ever finished a question."""
    retired: str = ""

    @property
    def promising(self) -> bool:
        """Whether it works, or may yet: an engine that died or did not load before it finished anything says little."""
        return not self.retired and (self.fruitful or (self.restarts == 0 and not self.refused))


@dataclass
class Foreman:
    """Keeps the book of a run's workers, by the ids of their actors; those stay the same over restarts."""

    leases: int = 0
    """Of the whole run."""
    workers: dict[str, _Worker] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)
    """Deaths of engines by the leases they had open: one of their questions may be what kills."""
    taken: set[int] = field(default_factory=set)
    """Leases that were ever opened."""
    stopped: str = ""
    tray: Tray = field(default_factory=Tray)

    def begin(self, worker: str) -> Start:
        """A worker's process starts, for the first time or after a death."""
        if worker not in self.workers:
            known = self._known(worker)
            known.starting = True
            return Start(known.number, 0, self.stopped)
        known = self.workers[worker]
        known.starting, known.refused = True, False
        known.restarts += 1
        known.fruitless += 1
        self.deaths.update(known.open)
        known.open.clear()
        if known.fruitless >= DEATHS:
            why = (
                f"engine {known.number} died {known.fruitless} times in a row without progress; "
                f"the last time: {known.last_words or _NO_WORD}"
            )
            if self._others_are_promising(known):
                known.retired = why
            else:
                self.stopped = why
        known.last_words = ""
        return Start(known.number, known.restarts, self.stopped, known.retired)

    def ready(self, worker: str) -> None:
        """A worker's engine is loaded."""
        self._known(worker).starting = False

    def refused(self, worker: str, message: str) -> bool:
        """A worker's engine did not load; whether another try is worth it, after an end of its process.

        What has loaded once is tried again: a dead engine's memory may be freed late. So is a first start while others
        are promising. All others show that none will load, and the job ends with the engine's own error.
        """
        known = self._known(worker)
        known.refused, known.last_words = True, f"it did not start: {message}"
        return known.restarts > 0 or self._others_are_promising(known)

    def suspects(self, lease: int) -> bool:
        """Whether an engine died while this lease was open, so that no other suspect should run beside it."""
        return self.deaths[lease] > 0

    def take(self, worker: str, lease: int) -> bool:
        """Whether a worker may open a lease: not after so many engines died over it."""
        self._known(worker).open.add(lease)
        self.taken.add(lease)
        return self.deaths[lease] < LEASE_DEATHS

    def finish(self, worker: str, lease: int, *, progress: bool) -> bool:
        """A worker handed over a lease; one of failures alone is no progress: an engine that dies fails all it has.

        Returns:
            Whether the run has leases that nobody opened yet.
        """
        known = self._known(worker)
        known.open.discard(lease)
        if progress:
            known.fruitless, known.fruitful = 0, True
        return len(self.taken) < self.leases

    def rest(self, worker: str) -> Rest:
        """What becomes of the leases of a retired worker, from whom Ray Data cannot take them back."""
        known = self._known(worker)
        known.retired = known.retired or _NO_WORD  # none but retired workers ask: a restarted foreman learns it so
        if any((one.open or one.starting) and not one.retired for one in self.workers.values()):
            return Rest.WAIT
        queued = QUEUED_LEASES * sum(bool(one.retired) for one in self.workers.values())
        return Rest.STOP if self.leases - len(self.taken) > queued else Rest.HAND_BACK

    def stop(self, reason: str) -> None:
        """A worker ends the job."""
        self.stopped = self.stopped or reason

    def lay(self, worker: str, told: Sequence[Told]) -> None:
        """A worker tells of finished questions whose leases are not done yet; this is progress."""
        known = self._known(worker)
        known.fruitless, known.fruitful = 0, True
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

    def _others_are_promising(self, known: _Worker) -> bool:
        return any(other.promising for other in self.workers.values() if other is not known)

    def _known(self, worker: str) -> _Worker:
        """A foreman that was itself restarted meets workers in the middle of their work."""
        return self.workers.setdefault(worker, _Worker(len(self.workers)))

    def why_stopped(self) -> str:
        """The reason to give up, or nothing."""
        return self.stopped


def start_foreman(leases: int) -> Any:
    """A foreman actor on the driver's node, with which it would die anyway; it takes no CPU."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    options: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
    return ray.remote(**options)(Foreman).remote(leases)
