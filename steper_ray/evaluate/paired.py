"""Two systems on the same questions: the interval of their difference, and how easily chance alone would give it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import comb, sqrt
from statistics import NormalDist

import numpy as np

from steper_ray.evaluate.interval import FEW, LEVEL, Interval, bootstrap

DRAWS = 10_000
"""Random sign flips where all of them would be too many."""
_EXACT_UP_TO = 14
"""Differing questions of which all 2ⁿ sign flips are looked at."""
_ROWS_AT_ONCE = 256
_ROUNDING = 1e-9


class PairedTest(StrEnum):
    """What gave a p-value."""

    MCNEMAR = "McNemar"
    SIGN_FLIP = "sign flip"


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure of two systems, the second less the first."""

    first: float
    second: float
    difference: float
    interval: Interval
    """Of the difference."""
    p_value: float
    """Two-sided: how likely a difference at least as large is if a coin decides whose each of two scores is."""
    test: PairedTest


def paired(first: Sequence[float], second: Sequence[float], seed: int) -> Difference:
    """Compare two lists of scores in [0, 1] of the same questions in the same order; they must not be empty.

    Scores that are all 0 or 1 get the exact McNemar test, others a sign-flip test.

    Source: Berg-Kirkpatrick et al., EMNLP 2012 (paired bootstrap); Dror et al., ACL 2018 (choice of the test).
    """
    differences = [after - before for before, after in zip(first, second, strict=True)]
    binary = {*first, *second} <= {0.0, 1.0}
    return Difference(
        first=sum(first) / len(first),
        second=sum(second) / len(second),
        difference=sum(differences) / len(differences),
        interval=difference_interval(differences, seed),
        p_value=mcnemar(first, second) if binary else sign_flip(differences, seed),
        test=PairedTest.MCNEMAR if binary else PairedTest.SIGN_FLIP,
    )


def difference_interval(differences: Sequence[float], seed: int) -> Interval:
    """The interval of a mean difference in [−1, 1]: of F1 the paired bootstrap's, of 0 and 1 a normal one.

    The normal one has two questions added, one for either system, so that a difference in few questions, or in none,
    is not taken for a sure one. It also stands for other scores that differ in fewer than ten questions.

    Source: Bonett and Price, Journal of Educational and Behavioral Statistics 2012, for scores that are 0 or 1; of
    others the squares of the differences enter it.
    """
    size = len(differences)
    if size - differences.count(0.0) > FEW and not {*differences} <= {-1.0, 0.0, 1.0}:
        return bootstrap(differences, seed)
    mean = sum(differences) / (size + 2)
    squares = (sum(value * value for value in differences) + 2) / (size + 2)
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * sqrt((squares - mean * mean) / (size + 2))
    return Interval(max(mean - half, -1.0), min(mean + half, 1.0))


def mcnemar(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided exact p-value: of the questions that one system alone has right, each is either's by a fair coin.

    Source: McNemar, Psychometrika 1947, with the binomial distribution instead of its approximation.
    """
    only_first = sum(before > after for before, after in zip(first, second, strict=True))
    only_second = sum(after > before for before, after in zip(first, second, strict=True))
    size, fewer = only_first + only_second, min(only_first, only_second)
    tail: int = sum(comb(size, count) for count in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << size))


def sign_flip(differences: Sequence[float], seed: int) -> float:
    """Two-sided p-value of a mean difference under random signs: exact for few differing questions, else 10,000 draws.

    Of draws the smallest p-value is 1 in 10,001: what was seen counts among them.

    Source: Fisher, The Design of Experiments, 1935, § 21.
    """
    values = np.array([value for value in differences if value], dtype=np.float64)
    if len(values) <= _EXACT_UP_TO:
        every = (np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1
        return _as_large(every, values) / len(every)
    random, hits = np.random.default_rng(seed), 0
    for start in range(0, DRAWS, _ROWS_AT_ONCE):
        hits += _as_large(random.integers(0, 2, (min(_ROWS_AT_ONCE, DRAWS - start), len(values))), values)
    return (1 + hits) / (1 + DRAWS)


def _as_large(flips: np.ndarray, values: np.ndarray) -> int:
    """How many rows of coins (0 or 1, one per value) give a sum at least as far from 0 as the values themselves."""
    totals = np.abs((2 * flips - 1) @ values)
    return int((totals >= abs(values.sum()) - _ROUNDING).sum())
