"""How quickly sums grow lately: hours of a calm night say little about the last minutes."""

import threading
import time
from collections import deque
from collections.abc import Callable

_STEP_S = 1.0
_SURE_AFTER_S = 10.0


class Pace:
    """Growth per second of sums that are noted now and then, over the last minutes; for several threads."""

    def __init__(self, window_s: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._window_s, self._clock = window_s, clock
        self._notes: deque[tuple[float, tuple[float, ...]]] = deque()
        self._sums: tuple[float, ...] = ()
        self._lock = threading.Lock()

    def note(self, *sums: float, began_s: float = 0.0) -> None:
        """Note the sums so far; with the first of them, how long ago they were 0."""
        with self._lock:
            now, self._sums = self._clock(), sums
            if not self._notes:
                self._notes.append((now - began_s, (0.0,) * len(sums)))
            if now - self._notes[-1][0] >= _STEP_S:
                self._notes.append((now, sums))

    def rates(self) -> tuple[float, ...] | None:
        """Growth of each sum per second; None as long as too little time has passed to say."""
        with self._lock:
            now = self._clock()
            while len(self._notes) > 1 and self._notes[1][0] <= now - self._window_s:
                self._notes.popleft()
            if not self._notes or now - self._notes[0][0] < _SURE_AFTER_S:
                return None
            since, before = self._notes[0]
            return tuple((last - first) / (now - since) for last, first in zip(self._sums, before, strict=True))
