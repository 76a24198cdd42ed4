"""The live line of a run of the loop: done, correct, failures, tokens per second, cache hits, time left."""

import sys
import threading
import time
from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from steper_ray.core.duration import duration
from steper_ray.drive.stats import LoopStats

_LOG_EVERY_S = 30.0
_REDRAW_EVERY_S = 0.2
_WARN_EVERY_S = 600.0


class LoopProgress:
    """A progress bar over questions, or a line every half minute where no terminal looks on; a context manager."""

    def __init__(self, title: str, stats: LoopStats) -> None:
        self._title, self._stats = title, stats
        self._last = self._warned = time.monotonic()
        self._closed = threading.Event()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn(title),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[figures]}"),
            disable=not sys.stdout.isatty(),
        )
        self._task = self._bar.add_task(
            title, total=stats.asked, completed=stats.all_done, figures="engines are starting"
        )

    def __enter__(self) -> "LoopProgress":
        self._bar.start()
        if self._bar.disable:
            threading.Thread(target=self._keep_telling, name="progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._show()
        self._bar.stop()

    def show(self) -> None:
        """Bring the line up to date, if it is time to; now and then with a warning, while it can still help."""
        every = _LOG_EVERY_S if self._bar.disable else _REDRAW_EVERY_S
        if time.monotonic() - self._last >= every:
            self._show()
        if time.monotonic() - self._warned >= _WARN_EVERY_S:
            self._warned = time.monotonic()
            if warning := self._stats.starvation_lately():
                self._bar.console.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)

    def _keep_telling(self) -> None:
        """A log that falls silent while engines start, or wait for room, looks like a run that died."""
        while not self._closed.wait(_LOG_EVERY_S):
            if time.monotonic() - self._last >= _LOG_EVERY_S:
                self._show()

    def _show(self) -> None:
        self._last = time.monotonic()
        stats = self._stats
        if self._bar.disable:
            done = f"{self._title}: {stats.all_done:,} of {stats.asked:,} · {duration(stats.seconds)}, {self._left()}"
            print(" · ".join(part for part in (done, stats.line()) if part), flush=True)
        else:
            figures = f"{self._left()} · {stats.line()}" if stats.done else "engines are starting"
            self._bar.update(self._task, completed=stats.all_done, figures=figures)

    def _left(self) -> str:
        stats = self._stats
        if not stats.done:
            return "nothing is done yet"
        if stats.done == stats.left:
            return "all done"
        return "time left not known" if stats.left_s is None else f"about {duration(stats.left_s)} left"
