"""What passes between ingress and loop: what a request may choose, and what comes of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from steper_ray.core.types import Question, Step, Trajectory
from steper_ray.drive.events import Event, PassagesFound, StepFinished, StepStarted


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """What a request may choose; None takes the service's own value."""

    until: float
    """Time of the answer at the latest, seconds since the epoch: the loop may run on another machine."""
    step_limit: int | None = None
    temperature: float | None = None
    force_answer: bool | None = None
    k: int | None = None
    request_id: str = field(default="", compare=False)
    """For the log."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A trajectory and where its time went; `partial` where the deadline cut it short, then perhaps without a stop."""

    trajectory: Trajectory
    retrieval_s: float
    writing_s: float
    partial: bool = False


def cut_short(question: Question, steps: Sequence[Step]) -> Answered:
    """What there is of a question whose loop fell silent; the seconds are those that its steps took."""
    retrieval_s, writing_s = sum(step.search_seconds for step in steps), sum(step.usage.seconds for step in steps)
    return Answered(Trajectory(question, 0, tuple(steps)), retrieval_s, writing_s, partial=True)


@dataclass(slots=True)
class Stopwatch:
    """Wall seconds by what was waited for, taken from the driver's events."""

    retrieval_s: float = 0.0
    writing_s: float = 0.0
    _last: float = field(default_factory=time.perf_counter)

    def see(self, event: Event) -> None:
        """Book the time since the last event that began something."""
        now = time.perf_counter()
        if isinstance(event, PassagesFound):
            self.retrieval_s += now - self._last
        elif isinstance(event, StepFinished):
            self.writing_s += now - self._last
        if isinstance(event, PassagesFound | StepFinished | StepStarted):
            self._last = now

    def answered(self, trajectory: Trajectory, *, partial: bool) -> Answered:
        """The end of the question."""
        return Answered(trajectory, self.retrieval_s, self.writing_s, partial)
