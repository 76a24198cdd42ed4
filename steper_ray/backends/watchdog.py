"""Ends a process whose engine has work and completes nothing, so that whoever supervises it starts a new one."""

import asyncio
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
    """Watches calls into an engine; `bite` is called once when none was answered for `seconds` while some were open.

    A call that its caller gave up is no answer: otherwise a time-out shorter than `seconds` would hide a hung engine.
    A thread cannot look while native code holds the interpreter's lock; then, half a minute later, the process is ended
    from outside of Python with the stacks of its threads on stderr.
    """

    def __init__(self, seconds: float, bite: Callable[[], None]) -> None:
        self._seconds, self._bite = seconds, bite
        self._open = 0
        self._last = time.monotonic()
        self._silent = 0.0
        """Time that calls given up have waited since the last answer, seconds; kept while no call is open."""
        threading.Thread(target=self._look, name="watchdog", daemon=True).start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around one call into the engine, from one thread."""
        if self._open == 0:
            self._restart(self._silent)
        self._open += 1
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self._leave()
            raise
        except BaseException:
            self._answered()
            raise
        else:
            self._answered()

    def _answered(self) -> None:
        self._restart(0.0)
        self._leave()

    def _leave(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._silent = time.monotonic() - self._last
            faulthandler.cancel_dump_traceback_later()

    def _restart(self, silent: float) -> None:
        self._last = time.monotonic() - silent
        faulthandler.dump_traceback_later(max(self._seconds - silent, 0.0) + _GRACE_S, exit=True)

    def _look(self) -> None:
        while not (self._open and time.monotonic() - self._last > self._seconds):
            time.sleep(self._seconds / _LOOKS)
        self._bite()


def leave() -> None:
    """End this process with code 1, and first the processes that it started: a stopped one would keep its memory."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(1)
