"""Ends a process whose engine has work and completes nothing, so that whoever supervises it starts a new one."""

import faulthandler
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_GRACE_S = 30.0
_LOOKS = 10


class Watchdog:
    """Watches calls into an engine; `bite` is called once when none has ended for `seconds` while some were open.

    A thread cannot look while native code holds the interpreter's lock; then, half a minute later, the process is ended
    from outside of Python with the stacks of its threads on stderr.
    """

    def __init__(self, seconds: float, bite: Callable[[], None]) -> None:
        self._seconds, self._bite = seconds, bite
        self._open = 0
        self._last = time.monotonic()
        threading.Thread(target=self._look, name="watchdog", daemon=True).start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around one call into the engine, from one thread."""
        if self._open == 0:
            self._beat()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._beat()

    def _beat(self) -> None:
        self._last = time.monotonic()
        if self._open:
            faulthandler.dump_traceback_later(self._seconds + _GRACE_S, exit=True)
        else:
            faulthandler.cancel_dump_traceback_later()

    def _look(self) -> None:
        while not (self._open and time.monotonic() - self._last > self._seconds):
            time.sleep(self._seconds / _LOOKS)
        self._bite()


def leave() -> None:
    """End this process with code 1, and first the processes that it started: a stopped one would keep its memory."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(1)
