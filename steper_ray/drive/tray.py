"""Finished questions on their way to the driver, ahead of the lease that they belong to.

A lease ends with its slowest question. So that the others need not wait for it before they are written, each is told of
as soon as it is finished: the engine lays a copy on the foreman's tray, and the driver takes what lies there. The lease
still brings all its results, so nothing depends on the tray; the driver takes each question once (`Intake`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

MOST = 4096
"""Results that wait on the tray at most; where the driver is that late, the rest comes with the leases."""
_LEAST_PAUSE_S = 0.1
_CALLS_PER_S = 200


class Told(NamedTuple):
    """One finished question."""

    lease: int
    row: int
    """Of the lease's row group."""
    result: str
    """JSON, as in the lease."""


@dataclass
class Tray:
    """Holds what engines told until the driver takes it, and knows which rows of open leases the driver has."""

    waiting: list[Told] = field(default_factory=list)
    taken: dict[int, set[int]] = field(default_factory=dict)
    """Open lease → rows that the driver said it has; an engine that gets the lease again leaves them out."""

    def lay(self, told: Sequence[Told]) -> None:
        """An engine tells of finished questions."""
        self.waiting += told[: max(0, MOST - len(self.waiting))]

    def exchange(self, got: Sequence[tuple[int, int]], closed: Sequence[int]) -> list[Told]:
        """What lies here, for news of the driver's: rows that it got early, as (lease, row), and leases that ended."""
        for lease, row in got:
            self.taken.setdefault(lease, set()).add(row)
        for lease in closed:
            self.taken.pop(lease, None)
        told, self.waiting = self.waiting, []
        return told


class Teller:
    """Lays finished questions on the tray: the first at once, then all of a pause together; for one event loop."""

    def __init__(self, lay: Callable[[list[Told]], Awaitable[object]], pause_s: float) -> None:
        self._lay, self._pause_s = lay, pause_s
        self._waiting: list[Told] = []
        self._sending: asyncio.Task[None] | None = None

    def tell(self, told: Told) -> None:
        """A question is finished; returns at once."""
        self._waiting.append(told)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        import ray

        while self._waiting:
            told, self._waiting = self._waiting, []
            with suppress(ray.exceptions.RayError):  # the lease brings them
                await self._lay(told)
            await asyncio.sleep(self._pause_s)
        self._sending = None


def pause_s(engines: int) -> float:
    """Time between two calls of one engine: few enough that the foreman keeps up with all of them, seconds."""
    return max(_LEAST_PAUSE_S, engines / _CALLS_PER_S)
