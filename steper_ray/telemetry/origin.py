"""Whom a figure or a line of the log speaks of."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Origin:
    """A phase of a run; both are labels of metrics and fields of log lines."""

    phase: str = ""
    run: str = ""
    """Name of the run folder; of a service: the name its model is served under."""

    @staticmethod
    def of(folder: Path, phase: str) -> "Origin":
        """The phase that writes into a folder; the run folder is the one around it."""
        return Origin(phase, folder.absolute().parent.name)
