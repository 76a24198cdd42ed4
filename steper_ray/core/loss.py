"""The StepER loss: three stage means weighed by learned difficulties (paper, equations 6 and 7)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from steper_ray.core.types import STAGES, Stage

LOG_SIGMA_LIMIT = 3.0
"""log σ is kept in [−3, 3]: beyond, a stage would count for nothing or drown the others."""


class StageReduction(StrEnum):
    """What a stage mean is taken over."""

    TOKEN = "token"
    """Over all target tokens of the stage in the global batch."""
    SAMPLE = "sample"
    """Over samples, each counting with the mean of its own tokens."""


@dataclass(frozen=True, slots=True)
class LossPreset:
    """A named choice of stages, reduction and whether σ is learned (else σ = 1)."""

    name: str
    learned_sigma: bool = True
    reduction: StageReduction = StageReduction.TOKEN
    stages: tuple[Stage, ...] = STAGES


PRESETS: Mapping[str, LossPreset] = {
    preset.name: preset
    for preset in (
        LossPreset("steper"),
        LossPreset("multitask", learned_sigma=False),
        LossPreset("vanilla_kd", learned_sigma=False, stages=(Stage.AGGREGATION,)),
        LossPreset("paper", reduction=StageReduction.SAMPLE),
    )
}
"""`vanilla_kd` is one cross entropy, which σ = 1 halves: AdamW does not see the factor."""


def stage_means(sums: Tensor, counts: Tensor) -> Tensor:
    """L_j = S_j / n_j, and 0 for a stage with n_j = 0.

    Args:
        sums: (3,) summed cross entropy per stage over the global batch, nats.
        counts: (3,) what the sums were taken over: target tokens, or samples.
    """
    return torch.where(counts > 0, sums / counts.clamp(min=1), 0.0)


def total_loss(means: Tensor, counts: Tensor, log_sigma: Tensor) -> Tensor:
    """Σ_j present L_j / (2 σ_j²) + log σ_j, a scalar (paper, equation 7; design §7).

    A stage without targets contributes neither its loss nor its log σ. May be negative: at the optimum σ_j² = L_j.

    Args:
        means: (3,) stage means L_j, nats.
        counts: (3,) what the means were taken over.
        log_sigma: (3,) log σ_j.
    """
    return torch.where(counts > 0, means * torch.exp(-2 * log_sigma) / 2 + log_sigma, 0.0).sum()


def sum_weights(counts: Tensor, log_sigma: Tensor) -> Tensor:
    """(3,) weights w_j = 1 / (2 σ_j² n_j), so that Σ_j w_j S_j over all micro-batches has the gradient of the loss.

    A stage without targets gets 0. The counts must be those of the global batch.
    """
    return torch.where(counts > 0, torch.exp(-2 * log_sigma) / (2 * counts.clamp(min=1)), 0.0)


def log_sigma_gradient(means: Tensor, counts: Tensor, log_sigma: Tensor) -> Tensor:
    """(3,) ∂L / ∂ log σ_j = 1 − L_j / σ_j² in closed form, equal on every rank; 0 for a stage without targets."""
    return torch.where(counts > 0, 1 - means * torch.exp(-2 * log_sigma), 0.0)


def optimal_log_sigma(mean: float) -> float:
    """The log σ that minimises the total for a stage mean of `mean` nats: σ² = L, within the limits."""
    if mean <= 0:
        return -LOG_SIGMA_LIMIT
    return min(LOG_SIGMA_LIMIT, max(-LOG_SIGMA_LIMIT, math.log(mean) / 2))
