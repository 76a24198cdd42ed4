"""Bootstrap intervals of a mean over questions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95


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
    """The interval of a mean score in [0, 1].

    Where every question has 0, or every one 1, drawing them anew says nothing: the bound is then the exact binomial
    one (0 of 60 right: 0 to 6 %).

    Source: Clopper and Pearson, Biometrika 1934.
    """
    if all(value == values[0] for value in values) and values[0] in (0.0, 1.0):
        return Interval(0.0, unseen(len(values))) if values[0] == 0.0 else Interval(1.0 - unseen(len(values)), 1.0)
    return bootstrap(values, seed)


def unseen(size: int) -> float:
    """The largest share that one may miss altogether in `size` draws: upper bound of 95 % of 0 out of `size`."""
    return float(1.0 - ((1.0 - LEVEL) / 2) ** (1.0 / size))
