"""What is trained when: a pure function of seed and data, the same for any number of workers."""

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steper_ray.student.grouping import pack_lengths
from steper_ray.train.order import Order, Traits, batches


@dataclass(frozen=True, slots=True)
class PlannedUpdate:
    """One optimizer step. `packs` holds numbers of units; pack i goes to rank i mod world size."""

    number: int
    """1-based."""
    epoch: int
    """0-based."""
    packs: tuple[tuple[int, ...], ...]

    def passes(self, rank: int, size: int) -> list[tuple[int, ...]]:
        """The packs of one rank, filled up with empty ones so that all ranks make the same number of passes."""
        return [
            self.packs[first + rank] if first + rank < len(self.packs) else ()
            for first in range(0, len(self.packs), size)
        ]


@dataclass(frozen=True, slots=True)
class Plan:
    """The split of all units and the order of the trained ones."""

    trained: tuple[int, ...]
    """Numbers of the units that are trained on, ascending."""
    held_out: tuple[int, ...]
    """Numbers of the units whose questions are held out, ascending."""
    too_long: tuple[int, ...]
    """Numbers of the units longer than a pack, ascending."""
    lengths: tuple[int, ...]
    """Length in tokens of every unit."""
    seed: int
    epochs: int
    batch: int
    pack_tokens: int
    limit: int | None = None
    """Most updates."""
    order: Order = Order.SHUFFLED
    traits: tuple[Traits, ...] = ()
    """Of every unit, for orders that look at them."""

    @property
    def updates_per_epoch(self) -> int:
        """Updates that show every trained unit once; some may be smaller than the batch."""
        return math.ceil(len(self.trained) / self.batch)

    @property
    def size(self) -> int:
        """All updates."""
        whole = self.epochs * self.updates_per_epoch
        return whole if self.limit is None else min(whole, self.limit)

    def is_scored(self, number: int, every: int) -> bool:
        """Whether the held-out samples are looked at after an update: every so many, at the end of epochs, at last."""
        return number % every == 0 or number % self.updates_per_epoch == 0 or number == self.size

    def update(self, number: int) -> PlannedUpdate:
        """The update with a 1-based number."""
        return next(self.updates(after=number - 1))

    def updates(self, after: int = 0) -> Iterator[PlannedUpdate]:
        """The updates in order, from the one after `after`."""
        for epoch in range(after // max(self.updates_per_epoch, 1), self.epochs):
            source = random.Random(f"{self.seed}/{epoch}")
            first = epoch * self.updates_per_epoch + 1
            for number, units in enumerate(batches(self.trained, self.traits, self.order, self.batch, source), first):
                if after < number <= self.size:
                    yield PlannedUpdate(number, epoch, self._packs(units))

    def _packs(self, units: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        groups = pack_lengths([self.lengths[unit] for unit in units], self.pack_tokens)
        return tuple(tuple(units[place] for place in group) for group in groups)


def make_plan(
    lengths: Sequence[int],
    question_ids: Sequence[str],
    *,
    seed: int,
    epochs: int,
    batch: int,
    pack_tokens: int,
    longest: int | None = None,
    held_out_share: float = 0.0,
    limit: int | None = None,
    usable: Sequence[bool] | None = None,
    order: Order = Order.SHUFFLED,
    traits: Sequence[Traits] = (),
) -> Plan:
    """Split units into trained, held out and too long, and fix the order of the trained ones.

    Args:
        lengths: tokens of each unit.
        question_ids: question of each unit; all units of a question are on one side of the split.
        seed: decides the held-out questions and the order.
        epochs: passes over the trained units.
        batch: units per update, over all ranks.
        pack_tokens: most tokens of a pack, hence of a unit.
        longest: most tokens of a unit, where the model takes fewer than a pack has.
        held_out_share: share of the questions held out.
        limit: most updates.
        usable: whether the preset trains a unit at all; None takes all.
        order: of the units of an epoch.
        traits: of each unit; not needed for a shuffled order.
    """
    known = [number for number in range(len(lengths)) if usable is None or usable[number]]
    most = pack_tokens if longest is None else min(pack_tokens, longest)
    fitting = [number for number in known if lengths[number] <= most]
    held_out = held_out_questions([question_ids[number] for number in fitting], held_out_share, seed)
    return Plan(
        trained=tuple(number for number in fitting if question_ids[number] not in held_out),
        held_out=tuple(number for number in fitting if question_ids[number] in held_out),
        too_long=tuple(number for number in known if lengths[number] > most),
        lengths=tuple(lengths),
        seed=seed,
        epochs=epochs,
        batch=batch,
        pack_tokens=pack_tokens,
        limit=limit,
        order=order,
        traits=tuple(traits),
    )


def held_out_questions(question_ids: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """The questions held out: the share, rounded, with the smallest hashes; at least one if any, never all.

    A question's place depends on its id and the seed alone, so that more questions move few of them.
    """
    questions = sorted(set(question_ids), key=lambda question: _hash(question, seed))
    if share <= 0 or len(questions) < 2:
        return frozenset()
    return frozenset(questions[: min(max(round(share * len(questions)), 1), len(questions) - 1)])


def _hash(question: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}/{question}".encode()).hexdigest()
