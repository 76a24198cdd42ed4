"""The driver's end: each question is taken once, whether an engine told of it early or its lease brought it."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from steper_ray.drive.tray import Told
from steper_ray.errors import PhaseFailed

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 0.5
_ANSWER_S = 30.0
_END_S = 5.0


class Intake:
    """Hands the result of every question to `take`, once; of two copies the first counts. For two threads.

    `take` gets what `LoopWorker` made of a question (see there), and is never called twice at the same time. What it
    raises over an early result, the next lease raises too: the run must end.
    """

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        self._take, self._lock = take, threading.Lock()
        self._early: dict[int, set[int]] = {}
        """Open lease → rows taken before it came."""
        self._closed: set[int] = set()
        self._got: list[tuple[int, int]] = []
        self._ended: list[int] = []
        self._fault: Exception | None = None

    def early(self, told: Sequence[Told]) -> None:
        """Take what engines told of; what comes later than its lease is known already."""
        with self._lock:
            for lease, row, result in told:
                rows = self._early.setdefault(lease, set()) if lease not in self._closed else {row}
                if row in rows:
                    continue
                # First of all, since a writer that fails keeps the row.
                rows.add(row)
                self._got.append((lease, row))
                try:
                    self._take(json.loads(result))
                except Exception as fault:
                    self._fault = fault
                    raise

    def lease(self, number: int, results: Sequence[tuple[int, str]]) -> None:
        """Take what is new of a lease that ended: rows and their results."""
        with self._lock:
            if self._fault:
                raise self._fault
            known = self._early.pop(number, set())
            self._closed.add(number)
            self._ended.append(number)
            for row, result in results:
                if row not in known:
                    self._take(json.loads(result))

    def news(self) -> tuple[list[tuple[int, int]], list[int]]:
        """Rows taken early, as (lease, row), and leases that ended, since the last call."""
        with self._lock:
            news = self._got, self._ended
            self._got, self._ended = [], []
            return news


@contextmanager
def early_results(foreman: Any, intake: Intake) -> Iterator[None]:
    """While this is open, what lies on the foreman's tray is taken by a thread."""
    closed = threading.Event()
    thread = threading.Thread(target=_exchange, args=(foreman, intake, closed), name="early-results", daemon=True)
    thread.start()
    try:
        yield
    finally:
        closed.set()
        thread.join(_END_S)


def _exchange(foreman: Any, intake: Intake, closed: threading.Event) -> None:
    import ray

    pause_s = _LONGEST_PAUSE_S
    while not closed.wait(pause_s):
        try:
            told = ray.get(foreman.exchange.remote(*intake.news()), timeout=_ANSWER_S)
        except ray.exceptions.RayError:
            continue  # the leases bring everything
        try:
            intake.early(told)
        except PhaseFailed:
            return  # the disk is full, and the next lease tells
        pause_s = _SHORTEST_PAUSE_S if told else min(_LONGEST_PAUSE_S, 1.5 * pause_s)
