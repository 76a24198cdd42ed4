"""The figures of the loop, in whichever phase drives it; declared in `telemetry/metrics.py`."""

from steper_ray.core.types import FailureKind, Step, StopReason, Trajectory
from steper_ray.drive.load import Load
from steper_ray.telemetry import metrics
from steper_ray.telemetry.instruments import Instruments
from steper_ray.telemetry.origin import Origin

FAILED = "failed"
"""Outcome of a question that could not be finished; `metrics.FAILURES` says why."""
CUT_SHORT = "cut_short"
"""Outcome of a question that its deadline ended, with some steps and no answer."""


class LoopMeters:
    """The metrics of one process that drives the loop."""

    def __init__(self, origin: Origin) -> None:
        self._to = Instruments({"phase": origin.phase, "run": origin.run}).add(metrics.LOOP_METRICS)
        self._to.begin(metrics.QUESTIONS, "outcome", [*(reason.value for reason in StopReason), FAILED, CUT_SHORT])
        self._to.begin(metrics.FAILURES, "kind", [kind.value for kind in FailureKind])
        self._to.begin(metrics.TOKENS, "kind", ("prompt", "cached", "completion"))
        self._to.begin(metrics.STEP_RESTARTS)

    def engine_started(self, restarts: int) -> None:
        """The engine of this process can write, after so many deaths."""
        self._to.begin(metrics.ENGINE_STARTS, "after", ("nothing", "death"))
        self._to.count(metrics.ENGINE_STARTS, after="death" if restarts else "nothing")
        self._to.begin(metrics.SEARCHES, "source", ("cache", "retriever"))

    def step(self, step: Step) -> None:
        """A step is finished."""
        usage = step.usage
        self._to.count(metrics.TOKENS, usage.prompt_tokens, kind="prompt")
        self._to.count(metrics.TOKENS, usage.cached_tokens, kind="cached")
        self._to.count(metrics.TOKENS, usage.completion_tokens, kind="completion")
        self._to.observe(metrics.COMPLETION, usage.seconds)
        if step.query:
            self._to.observe(metrics.RETRIEVAL, step.search_seconds)

    def step_restarted(self) -> None:
        """A step is done again, since an engine or retriever failed in it."""
        self._to.count(metrics.STEP_RESTARTS)

    def finished(self, trajectory: Trajectory) -> None:
        """A trajectory came to its end, or its deadline did."""
        self._to.count(metrics.QUESTIONS, outcome=trajectory.stop.value if trajectory.stop else CUT_SHORT)

    def failed(self, kind: FailureKind) -> None:
        """A question could not be finished."""
        self._to.count(metrics.QUESTIONS, outcome=FAILED)
        self._to.count(metrics.FAILURES, kind=kind.value)

    def searched(self, cached: bool) -> None:
        """A query was answered, or is about to be, from what an earlier one was told."""
        self._to.count(metrics.SEARCHES, source="cache" if cached else "retriever")

    def in_flight(self, working: int, waiting: int | None = None) -> None:
        """Questions that the loop works on, and that wait for a place, where that is known."""
        self._to.set(metrics.IN_FLIGHT, working)
        self._to.set(metrics.WAITING, waiting)

    def load(self, load: Load) -> None:
        """How busy the engine was lately."""
        self._to.set(metrics.ENGINE_REQUESTS, load.requests)
        self._to.set(metrics.ENGINE_CAPACITY, load.capacity)
