"""The demo's questions with their annotated chains, streamed with the kinds evenly interleaved."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from steper_ray.core.types import Question
from steper_ray.demo.district import District, Fact
from steper_ray.demo.plans import KINDS, Kind, Plan, Subject, answerable
from steper_ray.demo.world import Split, World, district, passage_id
from steper_ray.errors import ConfigError

GROUP = 4
"""Questions in a row from one district, so that a district is not rebuilt for each."""
WORDING_ROUNDS = 3
"""How often one plan is asked, each time in other words: the least number of wordings of a plan."""


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One step of an annotated chain; the last one holds the answer and supports nothing."""

    rationale: str
    support_titles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnnotatedQuestion:
    """A question and the reasoning that answers it: one step per fact, then the answer alone."""

    question: Question
    steps: tuple[ChainStep, ...]


def iter_questions(world: World, split: Split, count: int) -> Iterator[AnnotatedQuestion]:
    """Yield the first `count` questions of a split; question n does not depend on `count`.

    Raises ConfigError when the split's districts cannot yield as many different questions.
    """
    numbers = world.districts_of(split)
    for position in range(count):
        place = district(world.seed, numbers[position // GROUP % len(numbers)])
        kind = KIND_CYCLE[position % len(KIND_CYCLE)]
        plans = shuffled_plans(world.seed, place.number, kind.name)
        use = earlier_uses(position, len(numbers), kind)
        if use >= WORDING_ROUNDS * len(plans):
            raise ConfigError(
                f"a demo world of {world.passages} passages has fewer than {count} different {split} questions "
                f"(out of {kind.name} after {position}): ask for fewer questions or more passages"
            )
        rng = Random(f"steper-demo-words/{world.seed}/{place.number}/{kind.name}/{use % len(plans)}")
        plan = plans[use % len(plans)]
        yield annotate(place, plan, kind, f"{split}-{position:06d}", rng, use // len(plans))


@lru_cache(maxsize=256)
def shuffled_plans(seed: int, number: int, kind_name: str) -> tuple[Plan, ...]:
    """All plans of a kind in a district, in the order in which they are asked."""
    kind = next(kind for kind in KINDS if kind.name == kind_name)
    plans = answerable(district(seed, number), kind)
    Random(f"steper-demo-plans/{seed}/{number}/{kind_name}").shuffle(plans)
    return tuple(plans)


def earlier_uses(position: int, districts: int, kind: Kind) -> int:
    """How many questions of `kind` the district of question `position` gave before it."""
    lap = districts * GROUP
    first = position // GROUP % districts * GROUP
    return sum(
        KIND_CYCLE[earlier % len(KIND_CYCLE)] is kind
        for start in range(first, position + 1, lap)
        for earlier in range(start, min(start + GROUP, position))
    )


def annotate(
    place: District, plan: Plan, kind: Kind, question_id: str, rng: Random, wording_round: int
) -> AnnotatedQuestion:
    """Choose the words of a plan and write its chain."""
    pick = (rng.randrange(len(plan.wordings)) + wording_round) % len(plan.wordings)
    text = plan.wordings[pick].format(*(point_at(place, subject, rng) for subject in plan.subjects))
    slots = list(dict.fromkeys(fact.subject for fact in plan.facts))
    question = Question(
        id=question_id,
        text=text[0].upper() + text[1:],
        golden_answers=(plan.answer,),
        kind=kind.name,
        hops=kind.hops,
        gold_titles=tuple(place.entities[slot].name for slot in slots),
        gold_ids=tuple(passage_id(place, slot) for slot in slots),
    )
    steps = [ChainStep(rationale(place, fact), (place.entities[fact.subject].name,)) for fact in plan.facts]
    return AnnotatedQuestion(question, (*steps, ChainStep(f"So the answer is: {plan.answer}.", ())))


def point_at(place: District, subject: Subject, rng: Random) -> str:
    """Name a subject without naming what its path finds: `the author of the novel Velkuin Arrow`."""
    words = place.entities[subject.start].mention
    for fact in subject.path:
        words = rng.choice(fact.relation.phrases).format(words)
    return words


def rationale(place: District, fact: Fact) -> str:
    """State a fact in one sentence, in the passage's own words."""
    return f"{place.entities[fact.subject].name} {fact.relation.clause.format(fact.value)}."


def interleaved(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Spread the kinds over one cycle so that every stretch of it has the mix (smooth weighted round robin)."""
    total = sum(kind.per_hundred for kind in kinds)
    credit = [0] * len(kinds)
    cycle = []
    for _ in range(total):
        credit = [owed + kind.per_hundred for owed, kind in zip(credit, kinds, strict=True)]
        chosen = max(range(len(kinds)), key=credit.__getitem__)
        credit[chosen] -= total
        cycle.append(kinds[chosen])
    return tuple(cycle)


KIND_CYCLE = interleaved(KINDS)
