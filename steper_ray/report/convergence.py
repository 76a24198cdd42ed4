"""Whether a learned σ has come to rest where its loss holds it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SMALLEST_SIGMA, LARGEST_SIGMA = math.exp(-3), math.exp(3)
"""The limits that training projects σ onto (`core.loss.LOG_SIGMA_LIMIT`, which needs torch)."""

MOST_GAP = 0.1
MOST_DRIFT = 0.1
FEWEST_UPDATES = 12


@dataclass(frozen=True, slots=True)
class Convergence:
    """How far one σ is from rest, looked at over the last third of its updates."""

    sigma: float
    """Final σ."""
    rest: float
    """Where σ would come to rest: the root of the mean loss (σ_j² = L_j at the optimum)."""
    drift: float
    """Relative change of σ over the window, along its least-squares line; negative while it falls."""
    updates: int
    """Updates in the whole run."""

    @property
    def gap(self) -> float:
        """Relative distance of σ from its rest; positive above it."""
        return self.sigma / self.rest - 1

    @property
    def reached(self) -> bool:
        """Within 10 % of its rest, moved by at most 10 % in the window, and watched for at least 12 updates."""
        return self.updates >= FEWEST_UPDATES and abs(self.gap) <= MOST_GAP and abs(self.drift) <= MOST_DRIFT


def convergence(sigmas: Sequence[float], losses: Sequence[float]) -> Convergence:
    """Judge one term by its course.

    Args:
        sigmas: σ after each update, at least one.
        losses: stage means where the stage was present, nats, at least one.
    """
    window = _last_third(sigmas)
    mean = sum(_last_third(losses)) / len(_last_third(losses))
    rest = min(LARGEST_SIGMA, max(SMALLEST_SIGMA, math.sqrt(max(mean, 0.0))))
    return Convergence(sigmas[-1], rest, _slope(window) * (len(window) - 1) / sigmas[-1], len(sigmas))


def _last_third(values: Sequence[float]) -> Sequence[float]:
    return values[-math.ceil(len(values) / 3) :]


def _slope(values: Sequence[float]) -> float:
    """Least squares, per update; 0 for a single value."""
    middle = (len(values) - 1) / 2
    spread = sum((place - middle) ** 2 for place in range(len(values)))
    return sum((place - middle) * value for place, value in enumerate(values)) / spread if spread else 0.0
