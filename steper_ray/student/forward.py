"""The forward pass that computes logits only where there is a target, and what the loss needs from it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from steper_ray.core.types import STAGES
from steper_ray.student.packing import Pack

CHUNK = 512
"""Target tokens whose fp32 logits exist at one time."""


@dataclass(frozen=True, slots=True)
class PackLoss:
    """What one pack yields."""

    sums: Tensor
    """(3,) fp32 weighted cross entropy per stage, nats; carries the gradient."""
    token_losses: Tensor
    """(N,) fp32 cross entropy of each target token, detached."""
    correct: Tensor | None
    """(3,) int64 target tokens per stage that had the highest logit, where asked for."""


def pack_loss(model: nn.Module, pack: Pack, *, count_correct: bool = False) -> PackLoss:
    """Run a pack through a causal language model.

    Logits are (N, vocabulary) with N the number of target tokens, never (T, vocabulary).
    """
    output = model(
        input_ids=pack.token_ids,
        position_ids=pack.position_ids,
        attention_mask=None,
        use_cache=False,
        logits_to_keep=pack.places,
    )
    logits: Tensor = output.logits[0]
    losses = target_losses(logits, pack.targets)
    zeros = torch.zeros(len(STAGES), device=losses.device)
    sums = zeros.index_add(0, pack.stages, losses * pack.weights)
    correct = None
    if count_correct:
        hits = (logits.detach().argmax(dim=-1) == pack.targets) & (pack.weights > 0)
        correct = zeros.long().index_add(0, pack.stages, hits.long())
    return PackLoss(sums, losses.detach(), correct)


def target_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """(N,) fp32 cross entropy, in chunks whose fp32 logits are made again in the backward pass rather than kept."""
    if len(targets) <= CHUNK:
        return _cross_entropy(logits, targets)
    parts = [
        checkpoint(_cross_entropy, logits_part, targets_part, use_reentrant=False)
        for logits_part, targets_part in zip(logits.split(CHUNK), targets.split(CHUNK), strict=True)
    ]
    return torch.cat(parts)


def sample_means(pack: Pack, token_losses: Tensor) -> Tensor:
    """(M,) mean cross entropy of each sample of the pack, nats."""
    size = len(pack.segments)
    zeros = torch.zeros(size, device=token_losses.device)
    sums = zeros.index_add(0, pack.owners, token_losses)
    return sums / torch.bincount(pack.owners, minlength=size)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.float(), targets, reduction="none")
