"""A running mean that shows the course of a noisy loss."""

from collections.abc import Sequence


def smooth(values: Sequence[float], reach: int) -> list[float]:
    """The mean of each value and up to `reach` neighbours on either side, as many as there are; not shifted in time."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    smoothed = []
    for place in range(len(values)):
        first, last = max(0, place - reach), min(len(values), place + reach + 1)
        smoothed.append((sums[last] - sums[first]) / (last - first))
    return smoothed


def reach_for(count: int) -> int:
    """A reach that calms a curve of so many values without hiding its course: 4 % on either side, at least 1."""
    return max(1, round(0.04 * count))
