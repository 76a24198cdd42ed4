"""Trajectories of random tokens in the `turns` layout, as many as fill a pack to the last token."""

import random

import numpy as np

from benchmarks.training_gpu.settings import Settings
from steper_ray.core.samples import stage_of
from steper_ray.student.units import Segment, Unit

STEPS = (2, 4)
"""Steps of a trajectory, drawn."""
SPREAD = (0.6, 1.4)
"""A trajectory's share of its pack, drawn and then scaled."""
TARGET_SHARE = 10
"""Every so many-th token is a target: rationales of 50 tokens after 500 of passages."""


def pack_units(settings: Settings, update: int, pack: int) -> list[Unit]:
    """The trajectories of a pack, by the 0-based number of its update and its own; lengths sum to `pack_tokens`."""
    rng = random.Random(f"{settings.seed}/{update}/{pack}")
    lengths = split(settings.pack_tokens, [rng.uniform(*SPREAD) for _ in range(settings.units_per_pack)])
    ids = np.random.default_rng([settings.seed, update, pack])
    return [
        unit_of(f"{update}-{pack}-{number}", length, rng.randint(*STEPS), ids, settings.shape.vocabulary)
        for number, length in enumerate(lengths)
    ]


def split(total: int, shares: list[float]) -> list[int]:
    """Whole numbers in the proportion of the shares, with the sum `total`."""
    bounds = np.rint(np.cumsum([0.0, *shares]) / sum(shares) * total).astype(int)
    return np.diff(bounds).tolist()


def unit_of(name: str, length: int, steps: int, ids: np.random.Generator, vocabulary: int) -> Unit:
    """Steps of equal length, each of which ends with its target."""
    segments, stop = [], 0
    for step, tokens in enumerate(split(length, [1.0] * steps), start=1):
        stop += tokens
        start = stop - max(1, tokens // TARGET_SHARE)
        segments.append(Segment(f"{name}#{step}", stage_of(step, steps), start, stop))
    return Unit(name, name, ids.integers(0, vocabulary, length, dtype=np.int32), tuple(segments))
