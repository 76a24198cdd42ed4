"""Every metric of ours: name, kind, labels and meaning. Ray's agents export them with the prefix `ray_`."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Prometheus's types."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. Every value of a label comes from a list in the code, but for `run`, which is one per run."""

    name: str
    """As in the code; a counter without `_total`."""
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""

    @property
    def exported(self) -> str:
        """The name that Prometheus stores; a histogram's series have `_bucket`, `_sum` and `_count` behind it."""
        return f"ray_{self.name}" + ("_total" if self.kind is Kind.COUNTER else "")

    @property
    def series(self) -> tuple[str, ...]:
        """The names that a query may use."""
        if self.kind is Kind.HISTOGRAM:
            return tuple(f"{self.exported}_{part}" for part in ("bucket", "sum", "count"))
        return (self.exported,)


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 300)
"""Fine, since Ray's agents rebuild a histogram's sum from the middles of its buckets."""
_LOOP = ("phase", "run")
_RUN = ("run",)
_STAGE = ("run", "stage")

# The loop: generate, evaluate, serve.
QUESTIONS = Metric("steper_questions", Kind.COUNTER, "questions", "done, by outcome", (*_LOOP, "outcome"))
FAILURES = Metric("steper_failures", Kind.COUNTER, "questions", "not finished, by kind", (*_LOOP, "kind"))
TOKENS = Metric("steper_tokens", Kind.COUNTER, "tokens", "of finished steps, by kind", (*_LOOP, "kind"))
COMPLETION = Metric(
    "steper_completion_seconds", Kind.HISTOGRAM, "s", "one rationale, from request to last token", _LOOP, _SECONDS
)
RETRIEVAL = Metric("steper_retrieval_seconds", Kind.HISTOGRAM, "s", "one query, to its passages", _LOOP, _SECONDS)
SEARCHES = Metric("steper_searches", Kind.COUNTER, "queries", "by who answered", (*_LOOP, "source"))
IN_FLIGHT = Metric("steper_questions_in_flight", Kind.GAUGE, "questions", "an engine's loop works on", _LOOP)
WAITING = Metric("steper_questions_waiting", Kind.GAUGE, "questions", "wait for a place at an engine", _LOOP)
ENGINE_REQUESTS = Metric("steper_engine_requests", Kind.GAUGE, "requests", "in an engine, mean of late", _LOOP)
ENGINE_CAPACITY = Metric("steper_engine_capacity", Kind.GAUGE, "requests", "that an engine has room for", _LOOP)
ENGINE_STARTS = Metric("steper_engine_starts", Kind.COUNTER, "starts", "of engines", (*_LOOP, "after"))
STEP_RESTARTS = Metric("steper_step_restarts", Kind.COUNTER, "steps", "done again after a death", _LOOP)

# train
UPDATES = Metric("steper_train_updates", Kind.COUNTER, "updates", "taken, those done again included", _RUN)
UPDATE = Metric("steper_train_update", Kind.GAUGE, "updates", "number of the last update", _RUN)
PLANNED = Metric("steper_train_planned_updates", Kind.GAUGE, "updates", "of the whole plan", _RUN)
WORKERS = Metric("steper_train_workers", Kind.GAUGE, "workers", "that train", _RUN)
TRAIN_STARTS = Metric("steper_train_starts", Kind.COUNTER, "starts", "of the workers", ("run", "after"))
TOTAL_LOSS = Metric("steper_train_total_loss", Kind.GAUGE, "nats", "weighted total; may be negative", _RUN)
STAGE_LOSS = Metric("steper_train_stage_loss", Kind.GAUGE, "nats", "L_j of an update", _STAGE)
SIGMA = Metric("steper_train_sigma", Kind.GAUGE, "1", "weight of a stage: sigma_j", _STAGE)
LEARNING_RATE = Metric("steper_train_learning_rate", Kind.GAUGE, "1", "of the weights", _RUN)
GRADIENT_NORM = Metric("steper_train_gradient_norm", Kind.GAUGE, "1", "before clipping", _RUN)
TRAIN_TOKENS = Metric("steper_train_tokens", Kind.COUNTER, "tokens", "trained on, by kind", ("run", "kind"))
SPEED = Metric("steper_train_tokens_per_second", Kind.GAUGE, "tokens/s", "of an update, all workers", _RUN)
PEAK = Metric("steper_train_peak_ratio", Kind.GAUGE, "1", "share of the workers' measured peak", _RUN)
HELD_OUT_LOSS = Metric("steper_train_held_out_loss", Kind.GAUGE, "nats", "L_j on held-out samples", _STAGE)
HELD_OUT_ACCURACY = Metric("steper_train_held_out_accuracy", Kind.GAUGE, "1", "token accuracy, held out", _STAGE)
CHECKPOINT = Metric("steper_train_checkpoint_update", Kind.GAUGE, "updates", "that the newest checkpoint holds", _RUN)
CHECKPOINT_SECONDS = Metric(
    "steper_train_checkpoint_seconds", Kind.HISTOGRAM, "s", "to write a checkpoint", _RUN, _SECONDS
)

# serve, at the door
REQUESTS = Metric("steper_requests", Kind.COUNTER, "requests", "by route and status", ("run", "route", "status"))
REQUEST = Metric(
    "steper_request_seconds", Kind.HISTOGRAM, "s", "one request, streams to their end", ("run", "route"), _SECONDS
)
REQUESTS_IN_FLIGHT = Metric("steper_requests_in_flight", Kind.GAUGE, "requests", "being answered", _RUN)
FAULTS = Metric("steper_faults", Kind.COUNTER, "requests", "that ended with an error, by its type", ("run", "type"))

LOOP_METRICS = (
    QUESTIONS,
    FAILURES,
    TOKENS,
    COMPLETION,
    RETRIEVAL,
    SEARCHES,
    IN_FLIGHT,
    WAITING,
    ENGINE_REQUESTS,
    ENGINE_CAPACITY,
    ENGINE_STARTS,
    STEP_RESTARTS,
)
TRAIN_METRICS = (
    UPDATES,
    UPDATE,
    PLANNED,
    WORKERS,
    TRAIN_STARTS,
    TOTAL_LOSS,
    STAGE_LOSS,
    SIGMA,
    LEARNING_RATE,
    GRADIENT_NORM,
    TRAIN_TOKENS,
    SPEED,
    PEAK,
    HELD_OUT_LOSS,
    HELD_OUT_ACCURACY,
    CHECKPOINT,
    CHECKPOINT_SECONDS,
)
SERVE_METRICS = (REQUESTS, REQUEST, REQUESTS_IN_FLIGHT, FAULTS)
METRICS = (*LOOP_METRICS, *TRAIN_METRICS, *SERVE_METRICS)
"""All of them."""
