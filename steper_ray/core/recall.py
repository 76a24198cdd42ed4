"""Retrieval recall: how much of a question's gold passages was found, up to each step of the loop."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

from steper_ray.core.identity import content_id
from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage, Question, Trajectory


@dataclass(frozen=True, slots=True)
class Recall:
    """Over one question each value is of that question; over many it is their mean."""

    any: float
    """1 when at least one gold passage was found."""
    all: float
    """1 when every gold passage was found."""
    fraction: float
    """Share of the gold passages that were found."""


def recall(found: Collection[str], gold: Collection[str]) -> Recall:
    """Recall of one question, from distinct titles or ids; `gold` must not be empty."""
    wanted = set(gold)
    hits = len(wanted & set(found))
    return Recall(float(hits > 0), float(hits == len(wanted)), hits / len(wanted))


def recall_by_step(trajectory: Trajectory, shown: Mapping[str, Passage], steps: int) -> list[Recall]:
    """Recall of all that was retrieved in steps 1 … s, for s = 1 … `steps`; empty without gold passages.

    All k passages of a step count, those not shown included. A trajectory that ended earlier keeps its last value.

    Args:
        trajectory: its question names gold ids or, where it names none, gold titles. A gold id is a passage's id in
            the corpus or its `content_id`: what MuSiQue's paragraphs are called whatever the corpus calls them.
        shown: passages by id, see `passages_shown`; of an id without one only the id itself is known.
        steps: length of the result.
    """
    question = trajectory.question
    gold = gold_names(question)
    if not gold:
        return []
    found: set[str] = set()
    values = []
    for number in range(steps):
        retrieved = trajectory.steps[number].retrieved if number < len(trajectory.steps) else ()
        for id in retrieved:
            found.update(_names(id, shown.get(id)) if question.gold_ids else _title(shown.get(id)))
        values.append(recall(found, gold))
    return values


def gold_names(question: Question) -> set[str]:
    """What the question calls its supporting passages: ids or, where it names none, titles."""
    return set(question.gold_ids) or {squeeze(title) for title in question.gold_titles}


def retrieved_names(trajectory: Trajectory, shown: Mapping[str, Passage]) -> set[Hashable]:
    """One name per passage retrieved, of the kind of `gold_names`; one whose name is not known keeps one of its own."""
    question, names = trajectory.question, set[Hashable]()
    gold = gold_names(question)
    for id in {id for step in trajectory.steps for id in step.retrieved}:
        passage = shown.get(id)
        if question.gold_ids:
            names.add(next((name for name in _names(id, passage) if name in gold), id))
        else:
            names.add(squeeze(passage.title) if passage else ("id", id))
    return names


def retrieved_contents(trajectory: Trajectory, shown: Mapping[str, Passage]) -> frozenset[str]:
    """The `content_id` of every passage retrieved whose content is known."""
    found = {shown[id] for step in trajectory.steps for id in step.retrieved if id in shown}
    return frozenset(content_id(passage.title, passage.text) for passage in found)


def mean_recall(values: Sequence[Recall]) -> Recall:
    """The mean over questions; `values` must not be empty."""
    size = len(values)
    return Recall(
        any=sum(value.any for value in values) / size,
        all=sum(value.all for value in values) / size,
        fraction=sum(value.fraction for value in values) / size,
    )


def passages_shown(trajectories: Collection[Trajectory]) -> dict[str, Passage]:
    """By id, every passage that was shown in any of the trajectories."""
    return {
        passage.id: passage for trajectory in trajectories for step in trajectory.steps for passage in step.passages
    }


def _names(id: str, passage: Passage | None) -> tuple[str, ...]:
    return (id,) if passage is None else (id, content_id(passage.title, passage.text))


def _title(passage: Passage | None) -> tuple[str, ...]:
    return () if passage is None else (squeeze(passage.title),)
