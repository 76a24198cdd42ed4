"""Held-out quality per stage with the right tokens fed in: loss and token accuracy, used by train and evaluate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from steper_ray.core.loss import StageReduction, stage_means
from steper_ray.core.types import STAGES, Stage
from steper_ray.student.forward import pack_loss
from steper_ray.student.grouping import pack_lengths
from steper_ray.student.packing import idle_pack, make_pack
from steper_ray.student.ranks import Ranks
from steper_ray.student.units import Unit


@dataclass(frozen=True, slots=True)
class StageMetric:
    """One stage over all units: mean cross entropy (nats), share of target tokens with the highest logit, tokens."""

    loss: float
    accuracy: float
    tokens: int


def stage_metrics(
    model: nn.Module,
    units: Sequence[Unit],
    pack_tokens: int,
    *,
    reduction: StageReduction = StageReduction.TOKEN,
    ranks: Ranks | None = None,
) -> dict[Stage, StageMetric]:
    """Loss and token accuracy of the stages that occur in `units`.

    Every rank gives the same units and gets the same result; the work is dealt out among them.

    Args:
        model: a causal language model with `choose_attention`'s implementation, on the ranks' device.
        units: none longer than `pack_tokens`.
        pack_tokens: most tokens of one pass.
        reduction: what a stage's loss is the mean of.
        ranks: who shares the work; None is this process alone, on CPU.
    """
    ranks = ranks or Ranks()
    packs = pack_lengths([len(unit) for unit in units], pack_tokens)
    table = torch.zeros(4, len(STAGES), dtype=torch.float64)
    was_training = model.training
    model.eval()
    for first in range(0, len(packs), ranks.size):
        mine = packs[first + ranks.rank] if first + ranks.rank < len(packs) else []
        table += _score(model, [units[number] for number in mine], reduction, ranks.device)
    model.train(was_training)
    sums, counts, correct, tokens = ranks.total(table).cpu()
    means = stage_means(sums, counts)
    return {
        stage: StageMetric(float(means[number]), float(correct[number] / tokens[number]), int(tokens[number]))
        for number, stage in enumerate(STAGES)
        if tokens[number] > 0
    }


def selection_loss(metrics: Mapping[Stage, StageMetric]) -> float:
    """The unweighted mean of the stages' losses: what checkpoints are compared by, never the weighted total."""
    return sum(metric.loss for metric in metrics.values()) / len(metrics)


@torch.no_grad()
def _score(model: nn.Module, units: Sequence[Unit], reduction: StageReduction, device: torch.device) -> Tensor:
    pack = (make_pack(units, reduction) if units else idle_pack()).to(device)
    result = pack_loss(model, pack, count_correct=True)
    assert result.correct is not None
    tokens = torch.zeros_like(result.sums).index_add(0, pack.stages, (pack.weights > 0).float())
    return torch.stack([result.sums, pack.counts, result.correct, tokens]).double().cpu()
