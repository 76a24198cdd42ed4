"""The share of the workers' measured peak that updates reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from steper_ray.student.adapter import Adapter
from steper_ray.student.flops import flops_of
from steper_ray.student.ranks import Ranks
from steper_ray.train.facts import ModelFacts, model_facts
from steper_ray.train.peak import measured_peak


@dataclass(frozen=True, slots=True)
class Meter:
    """What an update's operations are counted with; recomputed activations do not count."""

    facts: ModelFacts
    adapter: Adapter | None
    peak: float
    """FLOP/s of all workers together, measured."""

    def flops(self, unit_lengths: Sequence[int], target_tokens: int) -> float:
        """Operations of an update over all ranks.

        The head multiplies target places alone. With adapters frozen weights need no gradient of their own: four
        operations instead of six per parameter and token.

        Args:
            unit_lengths: tokens of each unit of the update.
            target_tokens: target tokens of the update.
        """
        facts = self.facts
        share = 4 / 6 if self.adapter else 1.0
        parameters = share * facts.body_parameters
        if self.adapter:
            parameters += facts.adapter_parameters(self.adapter)
        head = 6.0 * share * facts.vocabulary * facts.hidden * target_tokens
        return flops_of(parameters, facts.layers, facts.queries, unit_lengths) + head

    def share(self, unit_lengths: Sequence[int], target_tokens: int, seconds: float) -> float:
        """Operations per second of an update that took `seconds`, as a share of the peak."""
        return self.flops(unit_lengths, target_tokens) / seconds / self.peak


def start_meter(model: Path, adapter: Adapter | None, dtype: torch.dtype, ranks: Ranks) -> Meter:
    """Measure this rank's peak and add up all of them; every rank must call it, so that they measure side by side."""
    ranks.wait()
    peak = torch.tensor([measured_peak(ranks.device, dtype)], dtype=torch.float64, device=ranks.device)
    return Meter(model_facts(model), adapter, float(ranks.total(peak)))
