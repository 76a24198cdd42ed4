"""From the figures of a few questions to those of all: tokens, hours, cost, disk."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the questions of a dry run came to."""

    trajectories: int
    correct: int | None
    """None where no question has a gold answer."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    calls: int
    """Completions asked for: steps."""
    seconds: float
    """Time of all their steps one after the other, passages and text."""
    bytes: int
    """On disk: trajectories and samples."""
    at_once: int
    """How many of them were driven at the same time at most."""


@dataclass(frozen=True, slots=True)
class Rates:
    """An endpoint's prices and limits; None where there is none, or nobody has said."""

    price_in: float | None = None
    """Of a million prompt tokens."""
    price_out: float | None = None
    """Of a million tokens written."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and completion together."""

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float | None:
        """What so many tokens cost; None without prices."""
        if self.price_in is None and self.price_out is None:
            return None
        return (prompt_tokens * (self.price_in or 0.0) + completion_tokens * (self.price_out or 0.0)) / 1e6

    def hours(self, calls: float, tokens: float) -> float:
        """How long the limits spread so many requests and tokens; 0 without limits."""
        by_requests = calls / self.requests_per_minute if self.requests_per_minute else 0.0
        by_tokens = tokens / self.tokens_per_minute if self.tokens_per_minute else 0.0
        return max(by_requests, by_tokens) / 60


@dataclass(frozen=True, slots=True)
class Estimate:
    """What so many (question, path) will take."""

    keys: int
    prompt_tokens: float
    computed_tokens: float
    """Prompt tokens that are not found in the prefix cache."""
    completion_tokens: float
    hours_least: float
    """If a full engine is as quick per question as in the dry run."""
    hours_most: float
    """If more questions at once gain nothing."""
    hours_limits: float
    """What the endpoint's limits take by themselves; both of the above are at least this."""
    cost: float | None
    """By the endpoint's prices; None without prices."""
    gib: float


def estimate(found: Sampled, keys: int, at_once: int, rates: Rates) -> Estimate:
    """Scale the figures of a dry run.

    Args:
        found: the dry run.
        keys: (question, path) still to be done.
        at_once: questions in flight over all engines, of the whole run.
        rates: prices and limits of the whole run.
    """
    per_key = keys / found.trajectories
    work_hours = found.seconds * per_key / 3600
    prompt, written = found.prompt_tokens * per_key, found.completion_tokens * per_key
    by_limits = rates.hours(found.calls * per_key, prompt + written)
    return Estimate(
        keys=keys,
        prompt_tokens=prompt,
        computed_tokens=(found.prompt_tokens - found.cached_tokens) * per_key,
        completion_tokens=written,
        hours_least=max(by_limits, work_hours / max(at_once, found.at_once)),
        hours_most=max(by_limits, work_hours / found.at_once),
        hours_limits=by_limits,
        cost=rates.cost(prompt, written),
        gib=found.bytes * per_key / 2**30,
    )
