"""Intervals of a mean over questions: the bootstrap's, and what stands in for it where few questions tell anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
FEW = 9
"""Up to so many questions with a score (or without it) the bootstrap is too narrow."""
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds between which the mean lies with a confidence of 95 %."""

    low: float
    high: float


def bootstrap(values: Sequence[float], seed: int) -> Interval:
    """The percentile interval of the mean: questions are drawn anew, with replacement, 2,000 times.

    Equal values and seed give an equal interval; values that are all the same give a point.

    Source: Efron, Bootstrap methods, 1979; Berg-Kirkpatrick et al., EMNLP 2012, for scores of language tasks.
    """
    array = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(seed)
    means = [array[random.integers(0, len(array), len(array))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def score_interval(values: Sequence[float], seed: int) -> Interval:
    """The interval of a mean score in [0, 1]: the bootstrap's, but no narrower than the exact binomial bounds allow.

    Drawing anew cannot show a question whose like was not asked. So the upper end is never below `most` of the
    questions that score 1, nor the lower end above that of those that score 0, each counted up to nine. It does not
    shrink where a score rises, and 0 of 60 right is 0 to 6 %.
    """
    size, found = len(values), bootstrap(values, seed)
    right, wrong = (min(values.count(end), FEW) for end in (1.0, 0.0))
    return Interval(min(found.low, 1.0 - most(wrong, size)), max(found.high, most(right, size)))


def most(right: int, size: int) -> float:
    """The largest share of right questions of which `right` out of `size` is not surprising: upper bound of 95 %.

    Source: Clopper and Pearson, Biometrika 1934.
    """
    low, high = right / size, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        seen = sum(comb(size, count) * share**count * (1 - share) ** (size - count) for count in range(right + 1))
        low, high = (share, high) if seen > (1 - LEVEL) / 2 else (low, share)
    return high
