"""The report in words: which stage is hardest, where that can be told, and what it does to the loss."""

from collections.abc import Mapping

from steper_ray.curves.history import STAGE_NAMES, History
from steper_ray.report.convergence import FEWEST_UPDATES, Convergence, convergence

_EQUAL = 0.01


def judge(history: History) -> dict[str, Convergence]:
    """The final σ of every trained term."""
    return {term: convergence(history.sigmas(term)[1], history.losses(term)[1]) for term in history.terms}


def is_learned(history: History) -> bool:
    """Whether σ was learned at all: the presets `multitask` and `vanilla_kd` hold it at 1."""
    return any(sigma != 1.0 for update in history.updates for sigma in update.sigmas.values())


def verdict(history: History) -> list[str]:
    """Sentences: hardest and easiest stage by σ once every σ has converged; before that, what is still open."""
    ends = judge(history)
    if len(ends) == 1:
        return [f"Only {_name(ends)} was trained, so there is nothing to compare."]
    if not is_learned(history):
        return [f"σ was held at 1, so it names no stage the hardest. {_roots(ends)} over the last third."]
    if open_ends := [f"{STAGE_NAMES[term]} ({_why(end)})" for term, end in ends.items() if not end.reached]:
        return [
            f"No stage is named the hardest yet: σ has not converged for {', '.join(open_ends)}.",
            f"Until it has, the losses tell more than σ. {_roots(ends)}.",
            "Train for more updates, or raise train.sigma_learning_rate.",
        ]
    return [
        _extremes({term: end.sigma for term, end in ends.items()}),
        "Every σ has converged: within 10% of √L, and moved by at most 10% in the last third of the updates.",
    ]


def weights_in_words(history: History) -> str:
    """What the final σ make of the stages: how much each one's loss counts."""
    weights = {term: 1 / (2 * end.sigma**2) for term, end in judge(history).items()}
    told = ", ".join(f"{STAGE_NAMES[term]} {weight:.2f}" for term, weight in weights.items())
    if not is_learned(history):
        return f"Every stage counts alike: σ was held at 1, and a loss counts 1/(2σ²) = {0.5:.2f}."
    return (
        f"A stage's loss counts 1/(2σ²) times: {told}. At rest σ is √L, so each stage adds the same, whatever its "
        "loss: what is hard is not allowed to drown the rest."
    )


def counted(number: int, noun: str) -> str:
    """`1 update`, `1,200 updates`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _roots(ends: Mapping[str, Convergence]) -> str:
    return f"√L is {', '.join(f'{STAGE_NAMES[term]} {end.rest:.3f}' for term, end in ends.items())}"


def _extremes(values: Mapping[str, float]) -> str:
    hardest, easiest = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    shown = {term: f"{STAGE_NAMES[term]} (σ = {value:.3f})" for term, value in values.items()}
    if values[hardest] <= values[easiest] * (1 + _EQUAL):
        return f"The stages are about equally hard: {', '.join(shown.values())}."
    return f"Hardest stage: {shown[hardest]}. Easiest stage: {shown[easiest]}."


def _why(end: Convergence) -> str:
    if end.updates < FEWEST_UPDATES:
        return f"only {counted(end.updates, 'update')}"
    side = "above" if end.gap > 0 else "below"
    return f"{abs(end.gap):.0%} {side} √L = {end.rest:.3f}, {end.drift:+.0%} over the last third"


def _name(ends: Mapping[str, Convergence]) -> str:
    return STAGE_NAMES[next(iter(ends))]
