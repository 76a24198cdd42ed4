"""What a plan comes to, counted without training: samples, tokens, updates, packs and how full they are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steper_ray.core.types import STAGES, Stage
from steper_ray.train.estimate import HeaviestPack
from steper_ray.train.plan import Plan

SHORT = 1024
"""Most tokens of a unit whose attention scores are held as a whole on CPU (`student.attention.SHORT`)."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Counts of a plan; an epoch is the first one."""

    trained: Mapping[Stage, int]
    """Samples by stage that the plan trains."""
    held_out: Mapping[Stage, int]
    too_long: int
    """Samples in units longer than a pack."""
    not_in_preset: int
    units: int
    """Trained units."""
    longest: int
    """Tokens of the longest trained unit."""
    tokens: int
    """Tokens per epoch."""
    target_tokens: int
    """Target tokens per epoch."""
    updates: int
    """All of them."""
    updates_per_epoch: int
    packs_per_update: float
    fill: float
    """Share of the packs' room that holds tokens."""
    idle: float
    """Share of the workers' passes without a pack."""
    heaviest: HeaviestPack

    @property
    def samples(self) -> int:
        """All samples of the data set."""
        return sum(self.trained.values()) + sum(self.held_out.values()) + self.too_long + self.not_in_preset


def forecast(plan: Plan, stages: Sequence[Sequence[int]], targets: Sequence[int], workers: int) -> Forecast:
    """Count.

    Args:
        plan: the plan.
        stages: stage numbers of the samples of each unit.
        targets: target tokens of each unit.
        workers: ranks that share an update's packs.
    """
    known = {*plan.trained, *plan.held_out, *plan.too_long}
    lengths = [plan.lengths[unit] for unit in plan.trained]
    packs = passes = tokens = updates = 0
    heaviest = HeaviestPack(0, 0, 0)
    for update in plan.updates():
        updates += 1
        packs += len(update.packs)
        passes += -(-len(update.packs) // workers) * workers
        for pack in update.packs:
            tokens += sum(plan.lengths[unit] for unit in pack)
            heaviest = _heavier(heaviest, [plan.lengths[unit] for unit in pack], sum(targets[unit] for unit in pack))
    return Forecast(
        trained=_by_stage(stages, plan.trained),
        held_out=_by_stage(stages, plan.held_out),
        too_long=sum(len(stages[unit]) for unit in plan.too_long),
        not_in_preset=sum(len(found) for unit, found in enumerate(stages) if unit not in known),
        units=len(plan.trained),
        longest=max(lengths, default=0),
        tokens=sum(lengths),
        target_tokens=sum(targets[unit] for unit in plan.trained),
        updates=updates,
        updates_per_epoch=plan.updates_per_epoch,
        packs_per_update=packs / updates if updates else 0.0,
        fill=tokens / (packs * plan.pack_tokens) if packs else 0.0,
        idle=1 - packs / passes if passes else 0.0,
        heaviest=heaviest,
    )


def _heavier(found: HeaviestPack, lengths: Sequence[int], targets: int) -> HeaviestPack:
    squares = sum(length * length for length in lengths if length <= SHORT)
    return HeaviestPack(max(found.tokens, sum(lengths)), max(found.target_tokens, targets), max(found.squares, squares))


def _by_stage(stages: Sequence[Sequence[int]], units: Sequence[int]) -> dict[Stage, int]:
    counts = Counter(number for unit in units for number in stages[unit])
    return {stage: counts[number] for number, stage in enumerate(STAGES)}
