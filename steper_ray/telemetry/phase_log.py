"""What a phase that is done in one go writes into its log: its beginning, warnings, counts, its end or failure."""

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from steper_ray.telemetry.log import Level, open_log


class PhaseLog:
    """Written by the process that does the work; a context manager around it."""

    def __init__(self, folder: Path, phase: str, **facts: Any) -> None:
        """Of a phase that writes into a folder; the facts stand in the first line."""
        self._log, self._facts = open_log(folder, phase), facts
        self._counts: dict[str, Any] = {}
        self._began = time.monotonic()

    def __enter__(self) -> "PhaseLog":
        self._began = time.monotonic()
        self._log.tell("phase_started", **self._facts)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.ended(error, **self._counts, seconds=round(time.monotonic() - self._began, 1))

    def warn(self, message: str) -> None:
        """Something to look at that ends nothing."""
        self._log.tell("warning", Level.WARNING, message=message)

    def count(self, counts: Mapping[str, Any]) -> None:
        """Numbers for the last line."""
        self._counts.update(counts)
