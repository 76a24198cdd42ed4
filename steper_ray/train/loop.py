"""The training loop, free of Ray: plan in, updated state, journal lines and checkpoints out."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from steper_ray.core.loss import StageReduction
from steper_ray.core.types import STAGE_TERMS, STAGES, Stage
from steper_ray.sections.train import TrainSection
from steper_ray.student.metrics import StageMetric, selection_loss, stage_metrics
from steper_ray.student.model import reshard
from steper_ray.student.packing import Pack, idle_pack, make_pack
from steper_ray.train.journal import Journal
from steper_ray.train.memory import give_back
from steper_ray.train.meter import Meter
from steper_ray.train.plan import Plan, PlannedUpdate
from steper_ray.train.schedule import learning_rate
from steper_ray.train.state import TrainState
from steper_ray.train.store import UnitStore
from steper_ray.train.update import UpdateResult, take_update

TERMS = tuple(STAGE_TERMS[stage] for stage in STAGES)

SaveCheckpoint = Callable[[TrainState], None]
"""Called by every rank when a checkpoint is due."""
Leaving = Callable[[], bool]
"""Whether a node is about to be taken away, so that a checkpoint is due now; asked after each update, on every rank."""


def train_updates(
    state: TrainState,
    plan: Plan,
    store: UnitStore,
    section: TrainSection,
    reduction: StageReduction,
    journal: Journal,
    save: SaveCheckpoint,
    meter: Meter,
    leaving: Leaving = lambda: False,
) -> None:
    """Take the updates of the plan that `state` has not seen yet, until the last or early stopping; on every rank.

    The held-out samples are looked at before the first update, too: what was known is not what was learned.
    """
    held_out = [store[number] for number in plan.held_out]
    if held_out and state.update == 0:
        scored = stage_metrics(state.model, held_out, plan.pack_tokens, reduction=reduction, ranks=state.ranks)
        reshard(state.model)
        journal.write(held_out_line(0, 0, scored))
    for planned in plan.updates(after=state.update):
        if stopped(state, section):
            return
        started = time.monotonic()
        packs = load_packs(planned, store, reduction, state)
        rate = learning_rate(planned.number, plan.size, section.learning_rate, section.warmup)
        result = take_update(state, packs, rate=rate, clip=section.clip)
        state.update = planned.number
        seconds = time.monotonic() - started
        lengths = [plan.lengths[unit] for pack in planned.packs for unit in pack]
        share = meter.share(lengths, result.target_tokens, seconds)
        journal.write(update_line(planned, result, rate, seconds, share) | {"workers": state.ranks.size})
        last = planned.number == plan.size
        better = False
        if held_out and plan.is_scored(planned.number, section.evaluate_every):
            scored = stage_metrics(state.model, held_out, plan.pack_tokens, reduction=reduction, ranks=state.ranks)
            reshard(state.model)
            better = state.selection.note(state.ranks.agree(selection_loss(scored)), planned.number)
            journal.write(held_out_line(planned.number, planned.epoch, scored))
        last = last or stopped(state, section)
        kept = better and section.export == "best"
        if leaving() or last or kept or planned.number % section.checkpoint_every == 0:
            save(state)
        give_back(planned.number)


def stopped(state: TrainState, section: TrainSection) -> bool:
    """Whether the held-out loss has not become better for so many evaluations that the training ends early."""
    return section.patience is not None and state.selection.since >= section.patience


def load_packs(planned: PlannedUpdate, store: UnitStore, reduction: StageReduction, state: TrainState) -> list[Pack]:
    """This rank's packs of an update, idle ones where it has less to do than others."""
    groups: Sequence[tuple[int, ...]] = planned.passes(state.ranks.rank, state.ranks.size)
    return [make_pack([store[number] for number in group], reduction) if group else idle_pack() for group in groups]


def update_line(
    planned: PlannedUpdate, result: UpdateResult, rate: float, seconds: float, peak_share: float
) -> dict[str, Any]:
    """The journal's line of an update; a loss is null where its stage was absent."""
    return {
        "update": planned.number,
        "epoch": planned.epoch,
        "total": result.total,
        **{f"L_{term}": loss for term, loss in zip(TERMS, result.losses, strict=True)},
        **{f"sigma_{term}": sigma for term, sigma in zip(TERMS, result.sigmas, strict=True)},
        "lr": rate,
        "grad_norm": result.grad_norm,
        "tokens": result.tokens,
        "target_tokens": result.target_tokens,
        "tokens_per_s": result.tokens / seconds,
        "peak_share": peak_share,
    }


def held_out_line(update: int, epoch: int, scored: dict[Stage, StageMetric]) -> dict[str, Any]:
    """The journal's line of a held-out evaluation after an update; `selection` is the unweighted mean of the losses."""
    return {
        "update": update,
        "epoch": epoch,
        "held_out": {
            **{f"L_{STAGE_TERMS[stage]}": metric.loss for stage, metric in scored.items()},
            **{f"accuracy_{STAGE_TERMS[stage]}": metric.accuracy for stage, metric in scored.items()},
            "selection": selection_loss(scored),
        },
    }
