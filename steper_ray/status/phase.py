"""What is known of one phase of a run."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from steper_ray.drive.lock import Holder


class State(StrEnum):
    """How a phase stands."""

    NOT_BEGUN = "not begun"
    RUNNING = "running"
    """A process writes into its folder."""
    FINISHED = "finished"
    STOPPED = "stopped in the middle"
    """It began, did not finish, and nobody is at it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a phase is."""

    unit: str
    """What is counted, in the plural."""
    done: int = 0
    total: int | None = None
    """None where it is not known yet."""
    per_s: float | None = None
    """Lately."""
    failed: dict[str, int] = field(default_factory=dict)
    """By kind; part of `done`."""
    last_sign: float | None = None
    """When anything was written last, seconds since the epoch."""
    usual_s: float | None = None
    """Seconds between two signs of life, usually."""
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    """What is not as it should be."""

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest would take at this pace."""
        if not self.per_s or self.total is None:
            return None
        return max(0, self.total - self.done) / self.per_s


@dataclass(frozen=True, slots=True)
class PhaseStatus:
    """One phase of a run."""

    name: str
    """Of its folder."""
    phase: str
    """index, generate, samples, train, evaluate, report …"""
    folder: Path
    state: State
    progress: Progress | None = None
    holder: Holder | None = None
    """Who writes into the folder, or did so last."""
    ended: float | None = None
    """When it finished, seconds since the epoch."""
    findings: tuple[str, ...] = ()
    command: str = ""
    """That its folder was last opened by; empty where it was none."""


def state_of(*, exists: bool, finished: bool, holder: Holder | None, quiet_s: float) -> State:
    """How a phase stands, from what its folder shows.

    Args:
        exists: whether it has begun.
        finished: whether its manifest is there and nothing has begun since.
        holder: of its lock.
        quiet_s: time since the last sign of life; decides where the file system knows no locks.
    """
    if holder and (holder.alive or (holder.alive is None and not finished and quiet_s < _QUIET_S)):
        return State.RUNNING
    if finished:
        return State.FINISHED
    return State.STOPPED if exists else State.NOT_BEGUN


_QUIET_S = 900.0
