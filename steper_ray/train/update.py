"""One update: the global loss of design §7 over all ranks and micro-batches, exactly, and the step that follows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from steper_ray.core.loss import stage_means, sum_weights, total_loss
from steper_ray.core.types import STAGES
from steper_ray.errors import PhaseFailed
from steper_ray.student.forward import pack_loss, sample_means
from steper_ray.student.packing import Pack
from steper_ray.train.state import TrainState


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What one update showed; the losses are those before the step."""

    total: float
    """The weighted total, nats."""
    losses: tuple[float | None, ...]
    """L_init, L_exp, L_agg; None where the stage is absent."""
    sigmas: tuple[float, ...]
    """σ before the step."""
    grad_norm: float
    """Norm of the weights' gradient before clipping."""
    tokens: int
    target_tokens: int


def take_update(state: TrainState, packs: Sequence[Pack], *, rate: float, clip: float) -> UpdateResult:
    """Accumulate this rank's packs, step the weights and σ.

    Args:
        state: changed in place, but for the number of updates.
        packs: this rank's packs, as many as every other rank's.
        rate: learning rate of the weights.
        clip: most gradient norm of the weights; σ is not clipped.

    Raises:
        PhaseFailed: loss or gradient is nan or infinite; nothing was stepped. Names stage, update and samples.
    """
    result = accumulate(state, packs)
    norm = _clip(state, clip)
    if not math.isfinite(norm):
        raise PhaseFailed(f"update {state.update + 1}: the gradient is {norm}; {_remedy(state)}")
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    state.sigmas.step(result.means, result.counts)
    return result.shown(norm)


@dataclass(frozen=True, slots=True)
class Accumulated:
    """Global loss of one update, its gradient left in the weights."""

    means: Tensor
    """(3,) fp64 stage means L_j."""
    counts: Tensor
    """(3,) fp64 what they were taken over."""
    log_sigma: Tensor
    """(3,) log σ they are weighed with."""
    tokens: int
    target_tokens: int

    @property
    def total(self) -> float:
        """The weighted total."""
        return float(total_loss(self.means, self.counts, self.log_sigma))

    def shown(self, norm: float) -> UpdateResult:
        """The plain numbers."""
        pairs = zip(self.means.tolist(), self.counts.tolist(), strict=True)
        losses = tuple(mean if count > 0 else None for mean, count in pairs)
        sigmas = tuple(self.log_sigma.exp().tolist())
        return UpdateResult(self.total, losses, sigmas, norm, self.tokens, self.target_tokens)


def accumulate(state: TrainState, packs: Sequence[Pack]) -> Accumulated:
    """Forward and backward of all packs; the weights' gradients are then those of the global loss.

    The global counts come first, so each micro-batch can be weighed with 1 / (2 σ_j² n_j) at once. FSDP takes the mean
    of the ranks' gradients where the loss wants their sum: hence the factor.
    """
    ranks = state.ranks
    local = [
        torch.cat([pack.counts, torch.tensor([len(pack.targets) * bool(pack.segments), pack.tokens])]) for pack in packs
    ]
    counted = ranks.total(torch.stack(local).double().sum(dim=0).to(ranks.device))
    counts, (target_tokens, tokens) = counted[: len(STAGES)], counted[len(STAGES) :].tolist()
    log_sigma = state.sigmas.log_sigma.double()
    weights = (sum_weights(counts, log_sigma) * ranks.size).float()
    sums = torch.zeros(len(STAGES), dtype=torch.float64, device=ranks.device)
    kept: list[Tensor] = []
    for pack in packs:
        loss = pack_loss(state.model, pack.to(ranks.device))
        (weights * loss.sums).sum().backward()
        sums += loss.sums.detach()
        kept.append(loss.token_losses)
    means = stage_means(ranks.total(sums), counts)
    _require_finite(state, means, packs, kept)
    return Accumulated(means, counts, log_sigma, int(tokens), int(target_tokens))


def _clip(state: TrainState, limit: float) -> float:
    norm = torch.nn.utils.clip_grad_norm_(state.trained, limit)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _require_finite(state: TrainState, means: Tensor, packs: Sequence[Pack], kept: Sequence[Tensor]) -> None:
    wrong = [stage.value for stage, mean in zip(STAGES, means.tolist(), strict=True) if not math.isfinite(mean)]
    if not wrong:
        return
    mine = [
        segment.sample_id
        for pack, losses in zip(packs, kept, strict=True)
        for segment, mean in zip(pack.segments, sample_means(pack, losses.cpu()).tolist(), strict=True)
        if not math.isfinite(mean)
    ]
    samples = [sample for part in state.ranks.gather(mine) for sample in part]
    shown = ", ".join(samples[:5]) + (f" and {len(samples) - 5} more" if len(samples) > 5 else "")
    raise PhaseFailed(
        f"update {state.update + 1}: the loss of {', '.join(wrong)} is not finite; samples: {shown}; {_remedy(state)}"
    )


def _remedy(state: TrainState) -> str:
    return (
        f"the weights are still those after update {state.update}; lower train.learning_rate or look at the samples, "
        "and train into a new folder"
    )
