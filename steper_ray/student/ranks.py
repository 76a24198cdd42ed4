"""The ranks that train or score together, and the few collectives they need."""

from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Ranks:
    """One process among `size`; the default is a process alone, which needs no process group."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """The sum of `value` over all ranks, on every rank; `value` itself is left as it is."""
        if self.size == 1:
            return value.clone()
        total = value.to(self.device, copy=True)
        dist.all_reduce(total)
        return total

    def gather(self, value: object) -> list[Any]:
        """The values of all ranks, in rank order, on every rank; for rare and small things."""
        if self.size == 1:
            return [value]
        gathered: list[Any] = [None] * self.size
        dist.all_gather_object(gathered, value)
        return gathered

    def agree(self, value: Value) -> Value:
        """The first rank's value, on every rank; for rare and small things."""
        agreed: Value = self.gather(value)[0]
        return agreed

    def wait(self) -> None:
        """Return when every rank has come here."""
        if self.size > 1:
            dist.barrier()


def current_ranks(device: torch.device) -> Ranks:
    """The ranks of the process group that is set up, or a process alone."""
    if not dist.is_initialized():
        return Ranks(device=device)
    return Ranks(dist.get_rank(), dist.get_world_size(), device)
