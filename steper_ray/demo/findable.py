"""Whether a search finds each hidden passage of a plan at its turn: a rough BM25 over the words of names alone."""

from collections import defaultdict
from dataclasses import dataclass

from steper_ray.demo.district import District, Fact

SHOWN = 4
"""Passages per search (k)."""
ONCE, TWICE = 1.0, 1.3
"""What a name's word adds to a passage that has it once, or twice as in the passage of its own (BM25, k1 = 0.9)."""
FIRST_MARGIN, LATER_MARGIN = 1.2, 0.5
"""Lead that a hidden passage needs over others, which may have common words of the query besides names: more at the
first hop, whose rationale repeats words of the question."""


@dataclass(frozen=True, slots=True)
class NameIndex:
    """For each entity (by slot) what a mention of it in a query adds to the score of each passage (by slot)."""

    scores: tuple[dict[int, float], ...]


def index_names(place: District) -> NameIndex:
    """Index the name words of a district's passages: an entity's own twice, those of its facts' objects once."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for entity, facts in zip(place.entities, place.facts, strict=True):
        for fact in facts.values():
            if fact.target >= 0:
                for word in name_words(fact.value):
                    found[word].setdefault(entity.slot, ONCE)
        for word in name_words(entity.name):
            found[word][entity.slot] = TWICE
    scores = []
    for entity in place.entities:
        total: dict[int, float] = defaultdict(float)
        for word in name_words(entity.name):
            for passage, score in found[word].items():
                total[passage] += score
        scores.append(dict(total))
    return NameIndex(tuple(scores))


def name_words(name: str) -> list[str]:
    """The two invented words of a name; a suffix such as `Press` is common."""
    return name.split()[:2]


def all_findable(index: NameIndex, named: frozenset[int], facts: tuple[Fact, ...]) -> bool:
    """Whether every fact's passage, unless its entity is `named` in the question, comes up before it is needed.

    The query that must find it is the question and the rationale before it.
    """
    known = set(named)
    for before, fact in zip((None, *facts), facts, strict=False):
        if fact.subject not in known:
            if before is None:
                return False
            margin = FIRST_MARGIN if before.subject in named else LATER_MARGIN
            if not comes_up(index, fact.subject, [*named, before.subject, before.target], margin):
                return False
            known.add(fact.subject)
    return True


def comes_up(index: NameIndex, slot: int, mentions: list[int], margin: float) -> bool:
    """Whether the passage in `slot` is among the first SHOWN, by `margin`, for a query with these mentions."""
    total: dict[int, float] = {}
    for mention in mentions:
        for passage, score in index.scores[mention].items():
            total[passage] = total.get(passage, 0.0) + score
    needed = total.get(slot, 0.0) - margin
    return sum(score > needed for passage, score in total.items() if passage != slot) < SHOWN
