"""Lines of JSON about what happened, for people and log collectors alike; docs/metrics.md names the fields."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from steper_ray.telemetry.origin import Origin

LOG_FOLDER = "log"
"""Beside the folders of a run's phases: what is published or resumed never holds a log."""


class Level(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    """Something failed and was, or will be, done again; or what was made deserves a look."""
    ERROR = "error"
    """A phase could not finish."""


def line(origin: Origin, event: str, level: Level = Level.INFO, **facts: Any) -> str:
    """One line without its end: time (UTC), level, run, phase, event, then the facts."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
    head = {"time": stamp, "level": level.value, "run": origin.run, "phase": origin.phase, "event": event}
    return json.dumps({**head, **facts}, ensure_ascii=False, default=str)


class EventLog:
    """Writes lines; one that cannot be written is lost, never the work it tells of."""

    def __init__(self, origin: Origin, write: Callable[[str], None]) -> None:
        self._origin, self._write = origin, write

    def tell(self, event: str, level: Level = Level.INFO, **facts: Any) -> None:
        """Write one line."""
        with suppress(OSError):
            self._write(line(self._origin, event, level, **facts))

    def ended(self, error: BaseException | None, **facts: Any) -> None:
        """A phase came to its end: finished, stopped by Ctrl-C or SIGTERM, or failed."""
        if error is None:
            self.tell("phase_finished", **facts)
        elif isinstance(error, Exception):
            self.tell("phase_failed", Level.ERROR, **facts, error=type(error).__name__, message=str(error))
        else:
            self.tell("phase_stopped", Level.WARNING, **facts, error=type(error).__name__)


def open_log(folder: Path, phase: str, part: str = "") -> EventLog:
    """The log of a phase that writes into a folder; each process that writes one needs a `part` of its own."""
    path = log_path(folder, part)

    def append(text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write for the whole line: other programs follow the file.
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, f"{text}\n".encode())
        finally:
            os.close(file)

    return EventLog(Origin.of(folder, phase), append)


def log_path(folder: Path, part: str = "") -> Path:
    """Where `open_log` writes: `log/generate.jsonl` beside the folder `generate`."""
    folder = folder.absolute()
    return folder.parent / LOG_FOLDER / f"{folder.name}{f'.{part}' if part else ''}.jsonl"


def read_log(folder: Path, part: str = "") -> list[dict[str, Any]]:
    """The lines written so far, oldest first; none where there is no log. A line cut short is left out."""
    try:
        text = log_path(folder, part).read_text(encoding="utf-8")
    except OSError:
        return []
    found = []
    for one in text.split("\n"):  # other ends of lines may stand in a message
        with suppress(ValueError):
            found.append(json.loads(one))
    return found
