"""Prometheus metrics of the loop's workers, exported by Ray beside its own."""

from ray.util.metrics import Counter, Gauge, Histogram

from steper_ray.core.types import FailureKind, Trajectory
from steper_ray.drive.load import Load

_SECONDS = [0.1, 0.3, 1, 3, 10, 30, 100, 300]


class Meters:
    """The metrics of one worker; Ray adds the worker's own labels and the prefix `ray_`."""

    def __init__(self) -> None:
        self._questions = Counter("steper_questions", description="Questions done, by outcome", tag_keys=("outcome",))
        self._tokens = Counter("steper_tokens", description="Tokens, by kind", tag_keys=("kind",))
        self._completion_s = Histogram(
            "steper_completion_seconds", description="Time of one rationale in the engine", boundaries=_SECONDS
        )
        self._in_engine = Gauge("steper_engine_requests", description="Mean number of requests in the engine")

    def finished(self, trajectory: Trajectory) -> None:
        """A trajectory came to its end."""
        assert trajectory.stop is not None
        self._questions.inc(1, {"outcome": trajectory.stop.value})
        usages = [step.usage for step in trajectory.steps]
        for kind, tokens in (
            ("prompt", sum(usage.prompt_tokens for usage in usages)),
            ("cached", sum(usage.cached_tokens for usage in usages)),
            ("completion", sum(usage.completion_tokens for usage in usages)),
        ):
            if tokens:
                self._tokens.inc(tokens, {"kind": kind})
        for usage in usages:
            self._completion_s.observe(usage.seconds)

    def failed(self, kind: FailureKind) -> None:
        """A question could not be finished."""
        self._questions.inc(1, {"outcome": kind.value})

    def load(self, load: Load) -> None:
        """How busy the engine was lately."""
        self._in_engine.set(load.requests)
