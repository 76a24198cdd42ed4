"""The live line of a training on the driver, fed from the journal that the first rank writes."""

import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from steper_ray.core.types import STAGE_TERMS
from steper_ray.train.checklist import EpochWatch
from steper_ray.train.curves import Curves
from steper_ray.train.journal import JournalTail, updates_of
from steper_ray.train.trackers import forget_warnings, tracker_warnings

_POLL_S = 0.5
_LOG_EVERY_S = 30.0
_WINDOW = 50
"""Updates that the time left is judged by."""


class TrainProgress:
    """A bar over updates, or a line every half minute where no terminal looks on; a context manager.

    It also keeps the picture of the curves fresh, tells what trackers complain of, and at the end of each epoch gives
    the checklist of the stages.
    """

    def __init__(self, folder: Path, updates: int, terms: Sequence[str] = tuple(STAGE_TERMS.values())) -> None:
        """Watch the journal of a train folder; `terms` are the loss terms that the preset trains."""
        self._epochs = EpochWatch(terms)
        self._folder, self._updates = folder, updates
        self._tail, self._pace, self._curves = JournalTail(folder), Pace(), Curves(folder)
        self._told: set[str] = set()
        forget_warnings(folder)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("train"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[figures]}"),
            disable=not sys.stdout.isatty(),
        )
        self._last_told = time.monotonic()
        self._task = self._progress.add_task("train", total=updates, left="", figures="workers are starting")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="train-progress", daemon=True)

    def __enter__(self) -> "TrainProgress":
        # What an earlier execution did says nothing about this one's pace, and its epochs were told.
        self._show(resumed=True)
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._show()
        if kind is None:
            self._tell(self._epochs.end())
        self._warn()
        self._curves.refresh(last=True)
        self._progress.stop()

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_S):
            self._show()
            self._log()
            self._warn()
            self._curves.refresh()

    def _show(self, *, resumed: bool = False) -> None:
        found = self._tail.lines()
        told = self._epochs.note(found)
        if not resumed:
            self._tell(told)
        lines = updates_of(found)
        if not lines:
            return
        last = lines[-1]
        if not resumed:
            self._pace.note(last["update"], time.monotonic())
        left = time_left(self._pace.seconds_left(self._updates))
        self._progress.update(self._task, completed=last["update"], left=left, figures=figures(last))

    def _log(self) -> None:
        now = time.monotonic()
        if self._progress.disable and now - self._last_told >= _LOG_EVERY_S:
            self._last_told = now
            task = self._progress.tasks[0]
            parts = (f"{task.completed:.0f} of {self._updates}", task.fields["left"], task.fields["figures"])
            print(f"train: {' · '.join(filter(None, parts))}", flush=True)

    def _tell(self, texts: Sequence[str]) -> None:
        for text in texts:
            self._progress.console.print(f"train: {text}", markup=False, highlight=False, soft_wrap=True)

    def _warn(self) -> None:
        for text in tracker_warnings(self._folder).values():
            if text not in self._told:
                self._told.add(text)
                self._progress.console.print(f"warning: {text}", markup=False, highlight=False, soft_wrap=True)


class Pace:
    """How long the updates of late took, with all that stood between them: evaluations, checkpoints, restarts."""

    def __init__(self) -> None:
        """Begin without an update."""
        self._seen: deque[tuple[int, float]] = deque(maxlen=_WINDOW)

    def note(self, update: int, now: float) -> None:
        """An update was seen at a time, seconds; one that is not new means that workers went back to a checkpoint."""
        while self._seen and self._seen[-1][0] >= update:
            self._seen.pop()
        self._seen.append((update, now))

    def seconds_left(self, updates: int) -> float | None:
        """Time to the last of all updates, seconds; None as long as fewer than two were seen."""
        if len(self._seen) < 2:
            return None
        (first, began), (last, ended) = self._seen[0], self._seen[-1]
        return (ended - began) / (last - first) * (updates - last)


def time_left(seconds: float | None) -> str:
    """`12 s left`, `3 min left`, `2.5 h left`; empty where it is not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h left"


def figures(line: dict[str, Any]) -> str:
    """What stands beside the bar: total, stage losses, σ, learning rate, tokens per second, share of the peak."""
    losses = " ".join(_number(line[f"L_{term}"]) for term in ("init", "exp", "agg"))
    sigmas = " ".join(_number(line[f"sigma_{term}"]) for term in ("init", "exp", "agg"))
    speed = f"{line['tokens_per_s']:.0f} tokens/s"
    if line.get("peak_share") is not None:
        speed += f" ({line['peak_share']:.0%} of peak)"
    return f"loss {line['total']:.3f} · L {losses} · σ {sigmas} · lr {line['lr']:.1e} · {speed}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
