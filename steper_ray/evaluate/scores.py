"""The scores of a student: pure sums over its predictions."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from steper_ray.core.recall import Recall, mean_recall
from steper_ray.evaluate.interval import Interval, bootstrap
from steper_ray.evaluate.prediction import Prediction

Key = TypeVar("Key", str, int)


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean scores of some questions, failed ones counted as 0."""

    questions: int
    exact_match: float
    f1: float
    accuracy_substring: float
    """Acc: the gold answer stands anywhere in the prediction."""
    accuracy_tokens: float
    """Acc, token-bounded: the gold answer stands there as whole tokens."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Means per finished question; `seconds` is the time its completions took, waiting in the engine included."""

    prompt_tokens: float
    cached_tokens: float
    completion_tokens: float
    seconds: float


@dataclass(frozen=True, slots=True)
class StageScore:
    """One stage with the right tokens fed in: mean cross entropy (nats), accuracy and number of target tokens."""

    loss: float
    token_accuracy: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Everything that scores.json holds."""

    quality: Quality
    exact_match_interval: Interval
    f1_interval: Interval
    finished: int
    failed: Mapping[str, int]
    """Questions without a trajectory, by kind of failure (`not_started` among them)."""
    answered_share: float
    """Share of all questions with an answer, forced or not."""
    stops: Mapping[str, int]
    steps_mean: float
    steps_histogram: Mapping[int, int]
    cost: Cost
    recall_questions: int
    """Finished questions that name gold passages: what `recall` is a mean of."""
    recall: Sequence[Recall]
    """Of all that was retrieved up to step 1, 2, …"""
    by_kind: Mapping[str, Quality]
    by_hops: Mapping[int, Quality]
    stages: Mapping[str, StageScore] = field(default_factory=dict)
    """By stage, where samples were given."""


def score(predictions: Sequence[Prediction], *, seed: int, stages: Mapping[str, StageScore] | None = None) -> Scores:
    """The scores of all predictions, of which at least one is finished.

    Args:
        predictions: one per question.
        seed: of the bootstrap.
        stages: teacher-forced scores, passed on.
    """
    finished = [prediction for prediction in predictions if prediction.stop is not None]
    failed = Counter(str(prediction.failure or "not_started") for prediction in predictions if prediction.stop is None)
    assert len(finished) + sum(failed.values()) == len(predictions), "every question is finished or failed"
    with_gold = [prediction.recall for prediction in finished if prediction.recall]
    return Scores(
        quality=quality(predictions),
        exact_match_interval=bootstrap([prediction.exact_match for prediction in predictions], seed),
        f1_interval=bootstrap([prediction.f1 for prediction in predictions], seed),
        finished=len(finished),
        failed=dict(sorted(failed.items())),
        answered_share=_mean([float(prediction.answered) for prediction in predictions]),
        stops=dict(sorted(Counter(str(prediction.stop) for prediction in finished).items())),
        steps_mean=_mean([prediction.steps for prediction in finished]),
        steps_histogram=dict(sorted(Counter(prediction.steps for prediction in finished).items())),
        cost=_cost(finished),
        recall_questions=len(with_gold),
        recall=[mean_recall(values) for values in zip(*with_gold, strict=True)],
        by_kind=_grouped(predictions, lambda prediction: prediction.question.kind),
        by_hops=_grouped(predictions, lambda prediction: prediction.question.hops),
        stages=dict(stages or {}),
    )


def quality(predictions: Sequence[Prediction]) -> Quality:
    """Mean scores; `predictions` must not be empty."""
    return Quality(
        questions=len(predictions),
        exact_match=_mean([prediction.exact_match for prediction in predictions]),
        f1=_mean([prediction.f1 for prediction in predictions]),
        accuracy_substring=_mean([prediction.accuracy_substring for prediction in predictions]),
        accuracy_tokens=_mean([prediction.accuracy_tokens for prediction in predictions]),
    )


def _grouped(predictions: Sequence[Prediction], key: Callable[[Prediction], Key]) -> dict[Key, Quality]:
    groups: dict[Key, list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault(key(prediction), []).append(prediction)
    return {name: quality(groups[name]) for name in sorted(groups)}


def _cost(finished: Sequence[Prediction]) -> Cost:
    usages = [prediction.usage for prediction in finished]
    return Cost(
        prompt_tokens=_mean([usage.prompt_tokens for usage in usages]),
        cached_tokens=_mean([usage.cached_tokens for usage in usages]),
        completion_tokens=_mean([usage.completion_tokens for usage in usages]),
        seconds=_mean([usage.seconds for usage in usages]),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
