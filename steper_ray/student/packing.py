"""Packs: several units in one sequence without padding, with what the loss needs to know of each target token."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from steper_ray.core.loss import StageReduction
from steper_ray.core.types import STAGES
from steper_ray.student.units import STAGE_NUMBER, Segment, Unit


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """T tokens of one or more units and N target tokens of M samples.

    `position_ids` starts anew with each unit: that is how the attention knows where a unit ends.
    """

    token_ids: Tensor
    """(1, T) int64."""
    position_ids: Tensor
    """(1, T) int64, counting from 0 in every unit."""
    places: Tensor
    """(N,) int64: the places whose logits predict a target token, one before it."""
    targets: Tensor
    """(N,) int64: the target token ids."""
    stages: Tensor
    """(N,) int64: the stage number of each target token."""
    owners: Tensor
    """(N,) int64: the number of the sample each target token belongs to."""
    weights: Tensor
    """(N,) fp32: what each target token counts in its stage sum; zeros in an idle pack."""
    counts: Tensor
    """(3,) fp32: what the stage sums are taken over, tokens or samples; the sum of the weights per stage."""
    segments: tuple[Segment, ...]
    """The M samples."""

    @property
    def tokens(self) -> int:
        """T, or 0 for an idle pack."""
        return self.token_ids.shape[1] if self.segments else 0

    def to(self, device: torch.device) -> "Pack":
        """The same pack with its tensors on `device`."""
        names = ("token_ids", "position_ids", "places", "targets", "stages", "owners", "weights", "counts")
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in names})


def make_pack(units: Sequence[Unit], reduction: StageReduction = StageReduction.TOKEN) -> Pack:
    """Put units one behind the other."""
    starts = np.cumsum([0, *(len(unit) for unit in units[:-1])])
    segments = tuple(segment for unit in units for segment in unit.segments)
    lengths = np.array([segment.stop - segment.start for segment in segments])
    token_ids = np.concatenate([unit.token_ids for unit in units]).astype(np.int64)
    targets = np.concatenate(
        [
            np.arange(start + segment.start, start + segment.stop)
            for start, unit in zip(starts, units, strict=True)
            for segment in unit.segments
        ]
    )
    numbers = np.array([STAGE_NUMBER[segment.stage] for segment in segments])
    per_sample = reduction is StageReduction.SAMPLE
    weights = np.repeat(1 / lengths if per_sample else np.ones(len(segments)), lengths)
    counts = np.bincount(numbers, None if per_sample else lengths, minlength=len(STAGES))
    return Pack(
        token_ids=torch.from_numpy(token_ids)[None],
        position_ids=torch.from_numpy(np.concatenate([np.arange(len(unit)) for unit in units]))[None],
        places=torch.from_numpy(targets - 1),
        targets=torch.from_numpy(token_ids[targets]),
        stages=torch.from_numpy(np.repeat(numbers, lengths)),
        owners=torch.from_numpy(np.repeat(np.arange(len(segments)), lengths)),
        weights=torch.from_numpy(weights.astype(np.float32)),
        counts=torch.from_numpy(counts.astype(np.float32)),
        segments=segments,
    )


def idle_pack() -> Pack:
    """Two tokens that count nothing: what a rank without work runs, so that all ranks make the same passes."""
    one, zero = torch.ones(1), torch.zeros(1, dtype=torch.int64)
    return Pack(
        token_ids=torch.zeros(1, 2, dtype=torch.int64),
        position_ids=torch.arange(2)[None],
        places=zero,
        targets=zero,
        stages=zero,
        owners=zero,
        weights=0 * one,
        counts=torch.zeros(len(STAGES)),
        segments=(),
    )
