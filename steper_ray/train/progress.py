"""The live line of a training on the driver, fed from the journal that the first rank writes."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn

from steper_ray.train.journal import read_journal

_POLL_S = 0.5


class TrainProgress:
    """A bar over updates; use as a context manager around the training."""

    def __init__(self, folder: Path, updates: int) -> None:
        """Watch the journal of a train folder."""
        self._folder = folder
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("train"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeLeftColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        self._task = self._progress.add_task("train", total=updates, figures="workers are starting")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="train-progress", daemon=True)

    def __enter__(self) -> "TrainProgress":
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._show()
        self._progress.stop()

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_S):
            self._show()

    def _show(self) -> None:
        lines = [line for line in read_journal(self._folder) if "total" in line]
        if lines:
            self._progress.update(self._task, completed=lines[-1]["update"], figures=figures(lines[-1]))


def figures(line: dict[str, Any]) -> str:
    """What stands beside the bar: total, stage losses, σ, learning rate, tokens per second."""
    losses = " ".join(_number(line[f"L_{term}"]) for term in ("init", "exp", "agg"))
    sigmas = " ".join(_number(line[f"sigma_{term}"]) for term in ("init", "exp", "agg"))
    speed = f"{line['tokens_per_s']:.0f} tokens/s"
    return f"loss {line['total']:.3f} · L {losses} · σ {sigmas} · lr {line['lr']:.1e} · {speed}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
