"""The three learned log σ: outside the sharded model, equal on every rank, moved by their closed-form gradient."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from steper_ray.core.loss import LOG_SIGMA_LIMIT, log_sigma_gradient
from steper_ray.core.types import STAGES

MANY_UPDATES = 1000
"""From here on Adam has the steps to move σ at the smaller rate."""


def default_rate(updates: int) -> float:
    """Learning rate of log σ when none is given: Adam moves a scalar by about this much per update."""
    return 1e-2 if updates < MANY_UPDATES else 1e-3


class StageSigmas:
    """log σ of the stages, start 0. One (1,) parameter per stage, so that an absent stage's moments rest as well."""

    def __init__(self, rate: float | None, device: torch.device) -> None:
        """Hold σ at 1 where `rate` is None, else learn log σ at that rate without weight decay."""
        self._parameters = [torch.nn.Parameter(torch.zeros(1, device=device)) for _ in STAGES]
        self._optimizer = None if rate is None else torch.optim.AdamW(self._parameters, lr=rate, weight_decay=0.0)

    @property
    def log_sigma(self) -> Tensor:
        """(3,) fp32, without gradient."""
        return torch.cat([parameter.detach() for parameter in self._parameters])

    def step(self, means: Tensor, counts: Tensor) -> None:
        """Move the log σ of the stages present, then project onto the limits. `means` and `counts` are global, (3,)."""
        if self._optimizer is None:
            return
        gradient = log_sigma_gradient(means, counts, self.log_sigma).float()
        for parameter, part, count in zip(self._parameters, gradient, counts, strict=True):
            parameter.grad = part[None].clone() if float(count) > 0 else None
        self._optimizer.step()
        with torch.no_grad():
            for parameter in self._parameters:
                parameter.clamp_(-LOG_SIGMA_LIMIT, LOG_SIGMA_LIMIT)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "log_sigma": self.log_sigma.cpu(),
            "optimizer": None if self._optimizer is None else deepcopy(self._optimizer.state_dict()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        with torch.no_grad():
            for parameter, value in zip(self._parameters, state["log_sigma"], strict=True):
                parameter.fill_(float(value))
        if self._optimizer is not None:
            self._optimizer.load_state_dict(state["optimizer"])
