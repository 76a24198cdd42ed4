"""What the driver of the loop tells while it works on a question."""

from dataclasses import dataclass

from steper_ray.core.types import FailureKind, Step, Trajectory


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A query is about to be sent (empty: an answer is about to be forced); `step` is 1-based."""

    step: int
    query: str


@dataclass(frozen=True, slots=True)
class PassagesFound:
    """The new passages of a step are known."""

    step: int
    pending: Step


@dataclass(frozen=True, slots=True)
class RationaleDelta:
    """A piece of a rationale as it is written; `StepFinished` holds the rationale as it counts."""

    step: int
    text: str


@dataclass(frozen=True, slots=True)
class StepRestarted:
    """A retrieval or completion failed and is done again; what `RationaleDelta` told of this step is void."""

    step: int
    reason: str
    """In the words of whoever failed."""
    kind: FailureKind


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A rationale is written."""

    step: int
    finished: Step


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every trajectory."""

    trajectory: Trajectory


Event = StepStarted | PassagesFound | RationaleDelta | StepRestarted | StepFinished | Finished
