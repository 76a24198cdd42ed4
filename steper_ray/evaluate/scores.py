"""The scores of a student: pure sums over its predictions."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from steper_ray.core.recall import Recall, mean_recall
from steper_ray.core.support import Support, mean_support
from steper_ray.data.contamination import Contamination, Trained, contamination, is_known
from steper_ray.evaluate.interval import Interval, score_interval
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
    exact_match_interval: Interval
    f1_interval: Interval
    accuracy_substring_interval: Interval
    accuracy_tokens_interval: Interval
    tokens: float
    """Prompt and completion, per finished question; all its paths together."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Means per finished question, all its paths together; `seconds` is the time of the completions, waiting in the
    engine included."""

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
    """This and the next three: those of `quality`, where scores.json has always had them."""
    f1_interval: Interval
    accuracy_substring_interval: Interval
    accuracy_tokens_interval: Interval
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
    support_questions: int
    """Questions that name gold passages, failed ones too: what `support` is a mean of."""
    support: Support | None
    """All passages retrieved against the gold ones; None without such questions."""
    paths: float
    """Finished paths per finished question."""
    agreement: float
    """Share of these that gave the answer taken."""
    by_kind: Mapping[str, Quality]
    by_hops: Mapping[int, Quality]
    stages: Mapping[str, StageScore] = field(default_factory=dict)
    """By stage, where samples were given."""
    contamination: Contamination | None = None
    """How many questions the student was trained on; None where that is not known."""
    unseen: Quality | None = None
    """Of the questions it was not trained on; None where it was trained on none of them, or on all."""


def score(
    predictions: Sequence[Prediction],
    *,
    seed: int,
    stages: Mapping[str, StageScore] | None = None,
    trained: Trained | None = None,
) -> Scores:
    """The scores of all predictions, of which at least one is finished.

    Args:
        predictions: one per question.
        seed: of the bootstrap.
        stages: teacher-forced scores, passed on.
        trained: what the student was trained on, where that is known.
    """
    finished = [prediction for prediction in predictions if prediction.stop is not None]
    failed = Counter(str(prediction.failure or "not_started") for prediction in predictions if prediction.stop is None)
    assert len(finished) + sum(failed.values()) == len(predictions), "every question is finished or failed"
    with_gold = [prediction.recall for prediction in finished if prediction.recall]
    support = [prediction.support for prediction in predictions if prediction.support]
    new = [found for found in predictions if trained is None or not is_known(found.question, trained)]
    overall = quality(predictions, seed)
    return Scores(
        quality=overall,
        exact_match_interval=overall.exact_match_interval,
        f1_interval=overall.f1_interval,
        accuracy_substring_interval=overall.accuracy_substring_interval,
        accuracy_tokens_interval=overall.accuracy_tokens_interval,
        finished=len(finished),
        failed=dict(sorted(failed.items())),
        answered_share=_mean([float(prediction.answered) for prediction in predictions]),
        stops=dict(sorted(Counter(str(prediction.stop) for prediction in finished).items())),
        steps_mean=_mean([prediction.steps for prediction in finished]),
        steps_histogram=dict(sorted(Counter(prediction.steps for prediction in finished).items())),
        cost=_cost(finished),
        recall_questions=len(with_gold),
        recall=[mean_recall(values) for values in zip(*with_gold, strict=True)],
        support_questions=len(support),
        support=mean_support(support) if support else None,
        paths=_mean([prediction.paths for prediction in finished]),
        agreement=_mean([prediction.votes / prediction.paths for prediction in finished]),
        by_kind=groups_of(predictions, lambda prediction: prediction.question.kind, seed),
        by_hops=groups_of(predictions, lambda prediction: prediction.question.hops, seed),
        stages=dict(stages or {}),
        contamination=contamination([found.question for found in predictions], trained) if trained else None,
        unseen=quality(new, seed) if 0 < len(new) < len(predictions) else None,
    )


def quality(predictions: Sequence[Prediction], seed: int) -> Quality:
    """Mean scores; `predictions` must not be empty. `seed` is the bootstrap's."""
    usages = [prediction.usage for prediction in predictions if prediction.stop is not None]
    return Quality(
        questions=len(predictions),
        exact_match=_mean([prediction.exact_match for prediction in predictions]),
        f1=_mean([prediction.f1 for prediction in predictions]),
        accuracy_substring=_mean([prediction.accuracy_substring for prediction in predictions]),
        accuracy_tokens=_mean([prediction.accuracy_tokens for prediction in predictions]),
        exact_match_interval=score_interval([prediction.exact_match for prediction in predictions], seed),
        f1_interval=score_interval([prediction.f1 for prediction in predictions], seed),
        accuracy_substring_interval=score_interval([prediction.accuracy_substring for prediction in predictions], seed),
        accuracy_tokens_interval=score_interval([prediction.accuracy_tokens for prediction in predictions], seed),
        tokens=_mean([usage.prompt_tokens + usage.completion_tokens for usage in usages]) if usages else 0.0,
    )


def groups_of(predictions: Sequence[Prediction], key: Callable[[Prediction], Key], seed: int) -> dict[Key, Quality]:
    """Mean scores by what `key` says of a prediction, in its order; `seed` is the bootstrap's."""
    groups: dict[Key, list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault(key(prediction), []).append(prediction)
    return {name: quality(groups[name], seed) for name in sorted(groups)}


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
