"""Who is told how a training goes, on its first rank."""

from collections.abc import Mapping
from typing import Any, Protocol


class Watch(Protocol):
    """Hears of the course of a training; must not raise."""

    def began(self, after: int, planned: int, workers: int) -> None:
        """The workers are ready for the updates behind `after`, of so many planned."""

    def line(self, line: Mapping[str, Any]) -> None:
        """A line was written into the journal."""

    def saved(self, update: int, seconds: float) -> None:
        """A checkpoint is complete, so long after it was begun."""

    def exported(self, update: int) -> None:
        """The weights of an update are written."""


class Unwatched:
    """Nobody listens."""

    def began(self, after: int, planned: int, workers: int) -> None:
        """Nothing."""

    def line(self, line: Mapping[str, Any]) -> None:
        """Nothing."""

    def saved(self, update: int, seconds: float) -> None:
        """Nothing."""

    def exported(self, update: int) -> None:
        """Nothing."""
