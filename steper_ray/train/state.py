"""The state of a training that is under way: all that changes with an update."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from steper_ray.student.ranks import Ranks
from steper_ray.train.selection import Selection
from steper_ray.train.sigma import StageSigmas


@dataclass(slots=True)
class TrainState:
    """Weights, optimizer, σ, the best evaluation and the number of updates done."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    sigmas: StageSigmas
    ranks: Ranks
    update: int = 0
    selection: Selection = field(default_factory=Selection)

    @property
    def trained(self) -> Sequence[nn.Parameter]:
        """The weights that are trained."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]


def start_state(model: nn.Module, sigmas: StageSigmas, ranks: Ranks, weight_decay: float) -> TrainState:
    """The state before the first update; the learning rate is set by each update."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    fused = ranks.device.type in ("cpu", "cuda")  # the devices for which torch has a fused AdamW
    optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=weight_decay, fused=fused)
    return TrainState(model, optimizer, sigmas, ranks)
