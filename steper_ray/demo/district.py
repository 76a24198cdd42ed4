"""One district of the demo world: a closed cluster of towns, institutions, people and works, made from its number."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from steper_ray.demo.names import Names, words
from steper_ray.demo.relations import BY_NAME, WORK_KINDS, Relation

TOWNS, INSTITUTIONS, ELDERS, JUNIORS, WORKS = range(0, 6), range(6, 12), range(12, 16), range(16, 24), range(24, 32)
PEOPLE = range(12, 24)
DISTRICT_SIZE = 32
HOUSES = (
    ("Press", "publisher"), ("Studio", "company"), ("Orchestra", "ensemble"), ("Museum", "gallery"),
    ("School", "college"), ("School", "college"),
)  # fmt: skip
ELDER_PROFESSIONS = words(
    "banker physician lawyer merchant scholar priest farmer soldier judge botanist sailor chemist"
)
INSTRUMENTS = words("violin cello viola harp flute piano trumpet guitar drum horn bassoon lute")
PRODUCTS = words("glass honey salt wool cheese silk timber pottery cider marble paper copper tea rope bread ink")
COLOURS = words("red blue green golden black white silver brown purple yellow")
ANIMALS = words("fox heron lion bear swan wolf hawk deer otter raven horse whale")
ELDER_BIRTHS, JUNIOR_BIRTHS = range(1761, 1816), range(1841, 1900)


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing with a passage; `slot` is its place in the district, `kind` what relations call it."""

    slot: int
    kind: str
    noun: str
    name: str

    @property
    def mention(self) -> str:
        """How a question names it: works with their kind (`the novel Velkuin Arrow`)."""
        return f"the {self.noun} {self.name}" if self.noun in WORK_KINDS else self.name


@dataclass(frozen=True, slots=True)
class Fact:
    """`subject` (a slot) has `value` under `relation`; `target` is the value's slot where it has a passage, else -1."""

    relation: Relation
    subject: int
    value: str
    target: int = -1


@dataclass(frozen=True, slots=True)
class District:
    """Entities by slot, and for each slot its facts by relation name, in the order its passage tells them."""

    number: int
    entities: tuple[Entity, ...]
    facts: tuple[dict[str, Fact], ...]


def build_district(seed: int, number: int) -> District:
    """Make district `number` of world `seed` from these two numbers alone."""
    rng = Random(f"steper-demo/{seed}/{number}")
    entities = name_entities(Names(seed), number, rng)
    facts: list[dict[str, Fact]] = [{} for _ in entities]

    def link(subject: int, relation: str, target: int) -> None:
        facts[subject][relation] = Fact(BY_NAME[relation], subject, entities[target].name, target)

    def state(subject: int, relation: str, value: object) -> None:
        facts[subject][relation] = Fact(BY_NAME[relation], subject, str(value))

    births = dict(zip(PEOPLE, rng.sample(ELDER_BIRTHS, 4) + rng.sample(JUNIOR_BIRTHS, 8), strict=True))
    for person, town in zip(PEOPLE, deal(rng, TOWNS, 12), strict=True):
        link(person, "birthplace", town)
        state(person, "birth_year", births[person])
        state(person, "profession", entities[person].noun)
    for pupil, elder in zip(rng.sample(JUNIORS, 6), deal(rng, rng.sample(ELDERS, 3), 6), strict=True):
        link(pupil, "teacher", elder)
    for student, school in zip(rng.sample(JUNIORS, 5), deal(rng, INSTITUTIONS[4:], 5), strict=True):
        link(student, "school", school)
    for person, spouse in pairs(rng.sample(ELDERS, 2) + rng.sample(JUNIORS, 4)).items():
        if len(facts[person]) < 5:
            link(person, "spouse", spouse)
    players = [
        person for person in PEOPLE if len(facts[person]) == 3 or (len(facts[person]) == 4 and rng.random() < 0.4)
    ]
    for person, instrument in zip(players, rng.sample(INSTRUMENTS, len(players)), strict=True):
        state(person, "instrument", instrument)

    seats = deal(rng, rng.sample(TOWNS, 4), 6)
    for house, town, elder in zip(INSTITUTIONS, seats, deal(rng, ELDERS, 6), strict=True):
        link(house, "seat", town)
        link(house, "founder", elder)
        state(house, "founded", births[elder] + rng.randint(24, 40))
        if rng.random() < 0.5:
            state(house, "emblem", f"{rng.choice(COLOURS)} {rng.choice(ANIMALS)}")

    for town, product, mayor in zip(TOWNS, rng.sample(PRODUCTS, 6), rng.sample(PEOPLE, 6), strict=True):
        if rng.random() < 0.7:
            state(town, "river", Names(seed).word("river", number * 6 + town))
        state(town, "product", product)
        if "river" not in facts[town] or rng.random() < 0.5:
            link(town, "mayor", mayor)

    for place, (profession, maker, house_relation, year) in enumerate(WORK_KINDS.values()):
        first, second = rng.sample([person for person in JUNIORS if entities[person].noun == profession], 2)
        for work, person in ((24 + 2 * place, first), (25 + 2 * place, second if rng.random() < 0.65 else first)):
            link(work, maker, person)
            link(work, house_relation, INSTITUTIONS[place])
            state(work, year, births[person] + rng.randint(22, 50))
    return District(number, entities, tuple(facts))


def name_entities(names: Names, number: int, rng: Random) -> tuple[Entity, ...]:
    """Name the 32 entities; some share a surname, the first word of a town or of a title, to mislead a search."""
    town_like = pairs(rng.sample(TOWNS, 2))
    family_like = pairs(rng.sample(PEOPLE, 4))
    title_like = pairs(rng.sample(WORKS, 4))
    entities = []
    for slot in TOWNS:
        like = town_like.get(slot)
        first = None if like is None else number * 6 + like
        entities.append(Entity(slot, "town", "town", names.pair(("town", "place"), number * 6 + slot, first=first)))
    for slot, (suffix, noun) in zip(INSTITUTIONS, HOUSES, strict=True):
        name = names.pair(("house", "firm"), number * 6 + slot - INSTITUTIONS[0])
        entities.append(Entity(slot, "institution", noun, f"{name} {suffix}"))
    professions = rng.sample(ELDER_PROFESSIONS, 4) + [kind[0] for kind in WORK_KINDS.values() for _ in range(2)]
    for slot, profession in zip(PEOPLE, professions, strict=True):
        base = number * 12 - PEOPLE[0]
        like = family_like.get(slot)
        name = names.pair(("given", "family"), base + slot, second=None if like is None else base + like)
        entities.append(Entity(slot, "person", profession, name))
    for slot, kind in zip(WORKS, [kind for kind in WORK_KINDS for _ in range(2)], strict=True):
        base = number * 8 - WORKS[0]
        like = title_like.get(slot)
        title = names.pair(("work", "piece"), base + slot, first=None if like is None else base + like)
        entities.append(Entity(slot, kind, kind, title))
    return tuple(entities)


def deal(rng: Random, items: Sequence[int], count: int) -> list[int]:
    """Return `count` items in random order, each of `items` as often as the others, give or take one."""
    dealt = list(items) * (count // len(items)) + rng.sample(items, count % len(items))
    rng.shuffle(dealt)
    return dealt


def pairs(items: Sequence[int]) -> dict[int, int]:
    """Return first to second, third to fourth and so on."""
    return dict(zip(items[::2], items[1::2], strict=True))
