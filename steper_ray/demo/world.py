"""The demo world: passages told from the facts of its districts, streamed in order, and the split by district."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from random import Random

from steper_ray.core.types import Passage
from steper_ray.demo.district import DISTRICT_SIZE, District, Entity, Fact, build_district
from steper_ray.demo.relations import WORK_KINDS
from steper_ray.errors import ConfigError

HELD_OUT_EVERY = 4
"""Every fourth district belongs to the held-out split, so the two splits share no entity."""
MIN_PASSAGES = DISTRICT_SIZE * HELD_OUT_EVERY
MAX_PASSAGES = DISTRICT_SIZE * 300_000
"""Up to here names are proven unique (tests/unit/test_demo_world.py)."""


class Split(StrEnum):
    """A part of the world's districts, and so of its entities."""

    TRAIN = "train"
    HELD_OUT = "held_out"


@dataclass(frozen=True, slots=True)
class World:
    """A world is its seed and its number of passages; everything else follows. Raises ConfigError on a bad size."""

    seed: int
    passages: int

    def __post_init__(self) -> None:
        if not MIN_PASSAGES <= self.passages <= MAX_PASSAGES:
            raise ConfigError(
                f"a demo world holds {MIN_PASSAGES} to {MAX_PASSAGES} passages, found {self.passages}: choose a number "
                "in between"
            )

    @property
    def districts(self) -> int:
        """Number of whole districts; passages beyond them only fill the corpus and no question needs them."""
        return self.passages // DISTRICT_SIZE

    def districts_of(self, split: Split) -> range | list[int]:
        """Numbers of the whole districts of a split, ascending."""
        last = HELD_OUT_EVERY - 1
        if split is Split.HELD_OUT:
            return range(last, self.districts, HELD_OUT_EVERY)
        return [number for number in range(self.districts) if number % HELD_OUT_EVERY != last]


@lru_cache(maxsize=64)
def district(seed: int, number: int) -> District:
    """Return a district, remembering the last few."""
    return build_district(seed, number)


def iter_passages(world: World) -> Iterator[Passage]:
    """Yield the world's passages in the order of their ids "0", "1", …, in constant memory."""
    for start in range(0, world.passages, DISTRICT_SIZE):
        place = build_district(world.seed, start // DISTRICT_SIZE)
        rng = Random(f"steper-demo-text/{world.seed}/{place.number}")
        for entity in place.entities:
            # Drawn for every entity, so that a cut last district changes nothing else.
            text = tell(entity, place.facts[entity.slot], rng)
            if start + entity.slot < world.passages:
                yield Passage(str(start + entity.slot), entity.name, text)


def passage_id(place: District, slot: int) -> str:
    """Return the id of the passage about the entity in `slot`."""
    return str(place.number * DISTRICT_SIZE + slot)


def tell(entity: Entity, facts: dict[str, Fact], rng: Random) -> str:
    """Write the passage of an entity: one or two sentences that state its facts in random order."""
    parts = clauses(facts)
    rng.shuffle(parts)
    name, noun = entity.name, entity.noun
    frame = rng.randrange(3)
    if frame == 0:
        return f"{name}, {article(noun)}, {enumerate_clauses(parts)}."
    if frame == 1:
        return f"The {noun} {name} {enumerate_clauses(parts)}."
    return f"{name} {enumerate_clauses(parts[:-1])}. The {noun} {parts[-1]}."


def clauses(facts: dict[str, Fact]) -> list[str]:
    """Return what a passage says of its entity; a year joins the fact it belongs to, a profession is the noun."""
    years = {host: facts[year].value for host, year in YEAR_OF.items() if year in facts}
    told = [fact for name, fact in facts.items() if name not in YEAR_OF.values() and name != "profession"]
    return [
        fact.relation.clause.format(fact.value)
        + (f" in {years[fact.relation.name]}" if fact.relation.name in years else "")
        for fact in told
    ]


YEAR_OF = {"birthplace": "birth_year", "founder": "founded"} | {kind[2]: kind[3] for kind in WORK_KINDS.values()}
"""Relation to the year that its clause takes along: `was born in Bermed Ross in 1871`."""


def enumerate_clauses(parts: list[str]) -> str:
    """Join as English does: `A`, `A and B`, `A, B and C`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def article(noun: str) -> str:
    """Put `a` or `an` before a noun."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
