"""Copies of the journal's figures for people to look at: TensorBoard, Weights & Biases, MLflow.

Each tracker lives in a thread of its own, so that one that hangs or fails never holds up the training: it is given up
after its first fault, which is told once.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Protocol

from steper_ray.errors import ConfigError, EnvironmentFault
from steper_ray.train.checkpoint_folders import IDENTITY_FILE

TRACKERS: Mapping[str, str] = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}
"""Name → module that must be installed."""
TRACKERS_FOLDER = "trackers"
"""Folder in a train folder: the ids under which services know the run, and what went wrong."""
_CLOSE_S = 60.0
"""How long the end of the training waits for a tracker to hand over its last figures."""


class Tracker(Protocol):
    """A place that shows figures over updates."""

    def write(self, update: int, values: Mapping[str, float]) -> None:
        """Take the figures of one update."""

    def close(self, *, failed: bool) -> None:
        """Hand over what is left; `failed` says how the training ended."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker is told about the training."""

    folder: Path
    """Train folder."""
    after: int = 0
    """The update that the training continues after; later figures of an earlier execution do not count."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Shown beside the figures."""

    @property
    def name(self) -> str:
        """The last two parts of the folder: `mine/train`."""
        return "/".join(self.folder.absolute().parts[-2:])


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that nobody knows, or that are not installed here.

    Raises:
        ConfigError: an unknown name.
        EnvironmentFault: the package of a tracker is missing.
    """
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(f"train.trackers: known are {', '.join(TRACKERS)}, found {name!r}")
        if find_spec(TRACKERS[name]) is None:
            raise EnvironmentFault(
                f"train.trackers names {name}, but the package {TRACKERS[name]} is not installed",
                f"`pip install {TRACKERS[name]}` wherever Ray's workers run, or take {name} out of train.trackers",
            )


class Trackers:
    """All trackers of a training; a context manager made by the first rank and fed by `Journal.write`."""

    def __init__(self, run: TrackedRun, names: Sequence[str]) -> None:
        """Start the named trackers on entering; without names nothing is written."""
        self._run, self._names = run, names
        self._feeds: list[_Feed] = []

    def __enter__(self) -> "Trackers":
        from steper_ray.train.tracker_kinds import open_tracker

        for name in self._names:
            self._feeds.append(_Feed(name, self._run, open_tracker))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for feed in self._feeds:
            feed.end(failed=error is not None)
        for feed in self._feeds:
            feed.wait(_CLOSE_S)

    def write(self, line: Mapping[str, Any]) -> None:
        """Pass on one line of the journal; returns at once."""
        for feed in self._feeds:
            feed.put(line["update"], values_of(line))


def open_trackers(folder: Path, names: Sequence[str], after: int, *, writes: bool = True) -> Trackers:
    """The trackers of a training that continues after an update; none on ranks that do not write.

    The settings shown are those of the folder's `identity.json`.
    """
    identity = folder / IDENTITY_FILE
    settings = json.loads(identity.read_text(encoding="utf-8")) if writes and identity.exists() else {}
    return Trackers(TrackedRun(folder, after, settings), names if writes else ())


def values_of(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line of the journal by name (`train/L_init`, `held_out/accuracy_agg`), without what is null."""
    held_out = line.get("held_out")
    prefix, values = ("train", line) if held_out is None else ("held_out", held_out)
    return {
        f"{prefix}/{name}": float(value)
        for name, value in values.items()
        if name != "update" and isinstance(value, int | float)
    }


def tracker_warnings(folder: Path) -> dict[str, str]:
    """What went wrong with the trackers of a train folder, by tracker; read by the driver's progress line."""
    found = sorted((folder / TRACKERS_FOLDER).glob("*.warning"))
    return {path.stem: path.read_text(encoding="utf-8") for path in found}


def forget_warnings(folder: Path) -> None:
    """Remove what an earlier execution had to say."""
    for path in (folder / TRACKERS_FOLDER).glob("*.warning"):
        path.unlink(missing_ok=True)


class _Feed:
    """The queue and the thread of one tracker; opening, writing and closing all happen in the thread."""

    def __init__(self, name: str, run: TrackedRun, open_tracker: Callable[[str, TrackedRun], Tracker]) -> None:
        self._name, self._run, self._open = name, run, open_tracker
        self._queue: SimpleQueue[tuple[int, Mapping[str, float]] | None] = SimpleQueue()
        self._failed, self._given_up = False, False
        self._place = run.folder / TRACKERS_FOLDER / f"{name}.warning"
        self._place.unlink(missing_ok=True)
        self._thread = Thread(target=self._serve, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def put(self, update: int, values: Mapping[str, float]) -> None:
        if not self._given_up:
            self._queue.put((update, values))

    def end(self, *, failed: bool) -> None:
        self._failed = failed
        self._queue.put(None)

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)
        if self._thread.is_alive() and not self._given_up:
            self._give_up(f"did not end within {seconds:.0f} s; its last figures may be missing")

    def _serve(self) -> None:
        try:
            tracker = self._open(self._name, self._run)
            while (item := self._queue.get()) is not None:
                tracker.write(*item)
            tracker.close(failed=self._failed)
        except Exception as error:  # a vendor's or network's fault, whatever its kind, must not reach the training
            self._give_up(f"{type(error).__name__}: {error}")

    def _give_up(self, why: str) -> None:
        self._given_up = True
        text = f"tracker {self._name} is given up, the training goes on: {' '.join(why.split())[:300]}"
        try:
            self._place.parent.mkdir(exist_ok=True)
            self._place.write_text(text, encoding="utf-8")
        except OSError:
            print(text, flush=True)
