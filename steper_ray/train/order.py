"""In which order an epoch shows its units: always a permutation, cut into batches of updates."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Order(StrEnum):
    """How an epoch's units are put in order."""

    SHUFFLED = "shuffled"
    """At random."""
    BALANCED = "balanced"
    """At random, but each update has every stage that enough units have."""
    CURRICULUM = "curriculum"
    """Short chains first, among these few passages first, else at random."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What the orders look at in a unit."""

    stages: tuple[int, ...] = ()
    """Numbers of the stages of its samples, ascending, each once."""
    steps: int = 0
    """Number of its last step."""
    passages: int = 0
    """Passages that it shows."""


def batches(
    units: Sequence[int], traits: Sequence[Traits], order: Order, batch: int, source: random.Random
) -> list[list[int]]:
    """The units of each update of an epoch, each unit once.

    Args:
        units: numbers of the units.
        traits: of all units, by number; a shuffled order does not look at them.
        order: which comes first.
        batch: most units of an update.
        source: decides what the order leaves open.
    """
    shuffled = list(units)
    source.shuffle(shuffled)
    match order:
        case Order.BALANCED:
            return _dealt(shuffled, traits, math.ceil(len(shuffled) / batch))
        case Order.CURRICULUM:
            shuffled.sort(key=lambda unit: (traits[unit].steps, traits[unit].passages))
    return [shuffled[start : start + batch] for start in range(0, len(shuffled), batch)]


def _dealt(shuffled: Sequence[int], traits: Sequence[Traits], updates: int) -> list[list[int]]:
    """Deal the units out like cards, those with the most stages first.

    Units that share a stage then lie in one run, as they do in both layouts, so a stage of at least `updates` units
    comes to each update.
    """
    cards = sorted(shuffled, key=lambda unit: (-len(traits[unit].stages), traits[unit].stages))
    return [cards[place::updates] for place in range(updates)]
