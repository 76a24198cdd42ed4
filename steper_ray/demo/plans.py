"""What may be asked of a district: for each kind of question, the facts it joins and the wordings it can take."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from steper_ray.demo.district import District, Fact
from steper_ray.demo.findable import all_findable, index_names
from steper_ray.demo.pair_wordings import EARLIER, JOINT, LATER, MAKER_EARLIER, MAKER_LATER, SAME, SHARED
from steper_ray.demo.relations import WORK_KINDS


@dataclass(frozen=True, slots=True)
class Subject:
    """Something a question points at: an entity's slot, then facts to follow (`the author of the novel X`)."""

    start: int
    path: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One question before its words are chosen: at least three wordings with a `{}` per subject."""

    wordings: tuple[str, ...]
    subjects: tuple[Subject, ...]
    facts: tuple[Fact, ...]
    """One rationale each, in the order in which the chain finds them."""
    answer: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of question and its share of the mix."""

    name: str
    hops: int
    per_hundred: int
    plans: Callable[[District], Iterator[Plan]]


def answerable(place: District, kind: Kind) -> list[Plan]:
    """All plans of a kind whose hidden passages a search finds when the chain needs them.

    One district in some hundreds has none of a rare kind: then all plans, so that the mix holds everywhere.
    """
    index = index_names(place)
    plans = list(kind.plans(place))
    found = [
        plan for plan in plans if all_findable(index, frozenset(subject.start for subject in plan.subjects), plan.facts)
    ]
    return found or plans


def bridges(place: District, hops: int, literal: bool) -> Iterator[Plan]:
    """Chains of `hops` facts, each about what the one before found; `literal`: ends in a year, a profession …"""
    for slot, entity in enumerate(place.entities):
        # The longest chains start at works alone: there are hundreds of those already.
        if hops < 4 or entity.kind in WORK_KINDS:
            for path in chains(place, slot, hops, (slot,)):
                last = path[-1]
                if (last.relation.target == "literal") == literal and not is_plain(place, path):
                    yield Plan(last.relation.asks, (Subject(slot, path[:-1]),), path, last.value)


def chains(place: District, slot: int, hops: int, seen: tuple[int, ...]) -> Iterator[tuple[Fact, ...]]:
    """All paths of exactly `hops` facts from `slot` that come by no entity twice."""
    for fact in place.facts[slot].values():
        if hops == 1:
            if fact.target not in seen:
                yield (fact,)
        elif fact.target >= 0 and fact.target not in seen:
            for rest in chains(place, fact.target, hops - 1, (*seen, fact.target)):
                yield (fact, *rest)


def is_plain(place: District, path: tuple[Fact, ...]) -> bool:
    """Whether the last hop asks what the question gives away: the profession of the author of a novel."""
    return path[-1].relation.name == "profession" and place.entities[path[-2].subject].kind in WORK_KINDS


def shared(place: District, follow: bool) -> Iterator[Plan]:
    """What two things have in common; `follow`: a further fact about that common thing."""
    for relation, wordings in SHARED.items():
        for one, two in fact_pairs(place, relation):
            if one.target != two.target:
                continue
            subjects = (Subject(one.subject), Subject(two.subject))
            if not follow:
                yield Plan(wordings, subjects, (one, two), one.value)
                continue
            for last in place.facts[one.target].values():
                if last.target not in (one.subject, two.subject):
                    joined = tuple(ask.format(joint) for joint in JOINT[relation] for ask in last.relation.asks)
                    yield Plan(joined, subjects, (one, two, last), last.value)


def same_or_not(place: District) -> Iterator[Plan]:
    """Yes/no: whether two things share an object; as many pairs that do not as pairs that do."""
    for relation, wordings in SAME.items():
        found = list(fact_pairs(place, relation))
        alike = [pair for pair in found if pair[0].target == pair[1].target]
        unlike = [pair for pair in found if pair[0].target != pair[1].target]
        for one, two in alike + unlike[:: max(1, len(unlike) // max(1, len(alike)))][: len(alike)]:
            answer = "yes" if one.target == two.target else "no"
            yield Plan(wordings, (Subject(one.subject), Subject(two.subject)), (one, two), answer)


def compared(place: District) -> Iterator[Plan]:
    """Which of two things came earlier or later."""
    for relation in EARLIER:
        for one, two in fact_pairs(place, relation):
            yield from by_year(place, one, two, (Subject(one.subject), Subject(two.subject)), (one, two))


def compared_maker(place: District) -> Iterator[Plan]:
    """Whether the maker of a work or another person was born earlier or later."""
    for made in maker_facts(place):
        one = place.facts[made.target]["birth_year"]
        for slot, facts in enumerate(place.facts):
            if "birth_year" in facts and slot != made.target:
                subjects = (Subject(made.subject, (made,)), Subject(slot))
                yield from by_year(place, one, facts["birth_year"], subjects, (made, one, facts["birth_year"]))


def compared_works(place: District) -> Iterator[Plan]:
    """Which of two works was made by the person born earlier or later."""
    for first, second in combinations(maker_facts(place), 2):
        if first.target != second.target:
            years = place.facts[first.target]["birth_year"], place.facts[second.target]["birth_year"]
            facts = (first, years[0], second, years[1])
            early, late = sorted((first, second), key=lambda made: int(place.facts[made.target]["birth_year"].value))
            subjects = (Subject(first.subject), Subject(second.subject))
            yield Plan(MAKER_EARLIER, subjects, facts, place.entities[early.subject].name)
            yield Plan(MAKER_LATER, subjects, facts, place.entities[late.subject].name)


def by_year(
    place: District, one: Fact, two: Fact, subjects: tuple[Subject, ...], facts: tuple[Fact, ...]
) -> Iterator[Plan]:
    """The two comparisons of two facts about years; none where the years are equal."""
    if one.value != two.value:
        early, late = sorted((one, two), key=lambda fact: int(fact.value))
        relation = one.relation.name
        yield Plan(EARLIER[relation], subjects, facts, place.entities[early.subject].name)
        yield Plan(LATER[relation], subjects, facts, place.entities[late.subject].name)


def fact_pairs(place: District, relation: str) -> Iterator[tuple[Fact, Fact]]:
    """All pairs of facts of one relation."""
    return combinations((facts[relation] for facts in place.facts if relation in facts), 2)


def maker_facts(place: District) -> list[Fact]:
    """Who made each work."""
    makers = {kind[1] for kind in WORK_KINDS.values()}
    return [fact for facts in place.facts for name, fact in facts.items() if name in makers]


KINDS: tuple[Kind, ...] = (
    Kind("bridge_2", 2, 35, lambda place: bridges(place, 2, literal=False)),
    Kind("attribute_2", 2, 19, lambda place: bridges(place, 2, literal=True)),
    Kind("shared_2", 2, 6, lambda place: shared(place, follow=False)),
    Kind("comparison_2", 2, 6, compared),
    Kind("yes_no_2", 2, 7, same_or_not),
    Kind("bridge_3", 3, 13, lambda place: bridges(place, 3, literal=False)),
    Kind("attribute_3", 3, 6, lambda place: bridges(place, 3, literal=True)),
    Kind("shared_3", 3, 2, lambda place: shared(place, follow=True)),
    Kind("comparison_3", 3, 1, compared_maker),
    Kind("bridge_4", 4, 3, lambda place: bridges(place, 4, literal=False)),
    Kind("comparison_4", 4, 2, compared_works),
)
"""The mix: 60 % two hops, 31 % three, 9 % four; 11 % comparisons, 7 % yes or no."""
