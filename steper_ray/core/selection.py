"""Which finished paths of a question become samples, and why the others do not: the one place where this is decided."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from steper_ray.core.answers import is_correct
from steper_ray.core.majority import agree, majority_answer
from steper_ray.core.samples import reasoning
from steper_ray.core.types import DropReason, StopReason


class Correctness(StrEnum):
    """What a path's answer is held against."""

    GOLD = "gold"
    """The question's gold answers (`core.answers.is_correct`)."""
    MAJORITY = "majority"
    """The answer that most of the question's paths gave (`core.majority`); gold answers have no say."""


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """What is kept of the correct paths."""

    correctness: Correctness = Correctness.GOLD
    keep_paths: int | None = None
    """Most paths kept per question."""
    per_question: int | None = None
    """Most samples per question; a path stays whole or goes."""
    max_stage_share: float | None = None
    """Most share of the samples that one stage may have, see `core.balance`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """All that decides about one finished path of a question; small, since all of a folder are held at once."""

    path: int
    stop: StopReason
    answer: str
    correct: bool | None
    """Against the gold answers; None where the question has none."""
    steps: int
    blank: bool
    """Whether a step has no text."""
    reasoning: bytes
    """Digest of what the samples of the path would say."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of the paths of one question."""

    reasons: Mapping[int, DropReason | None]
    """By path, lowest first; None: kept."""
    answer: str | None = None
    """The majority's answer, where there is one and it was asked for."""


def candidate_of(
    path: int, stop: StopReason, answer: str, golden_answers: Sequence[str], rationales: Sequence[str]
) -> Candidate:
    """The candidate of a finished path, from the values that decide about it."""
    digest = hashlib.blake2b("\n".join(reasoning(rationales)).encode(), digest_size=16).digest()
    correct = is_correct(answer, golden_answers) if golden_answers else None
    return Candidate(path, stop, answer, correct, len(rationales), not all(rationales), digest)


def choose(candidates: Sequence[Candidate], rules: SelectionRules) -> Choice:
    """Decide about the finished paths of one question; the order in which they come does not matter.

    `rules.max_stage_share` is no matter of one question and not looked at.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.path)
    winner = None
    if rules.correctness is Correctness.MAJORITY:
        winner = majority_answer([found.answer for found in ordered if found.stop is StopReason.ANSWERED])
    reasons: dict[int, DropReason | None] = {}
    kept: list[Candidate] = []
    for candidate in ordered:
        reason = _fault(candidate, rules.correctness, winner) or _surplus(candidate, kept, rules)
        reasons[candidate.path] = reason
        if reason is None:
            kept.append(candidate)
    return Choice(reasons, winner)


def _fault(candidate: Candidate, correctness: Correctness, winner: str | None) -> DropReason | None:
    """What is wrong with the path itself."""
    if candidate.stop is not StopReason.ANSWERED:
        return DropReason.NO_ANSWER
    if correctness is Correctness.MAJORITY and winner is None:
        return DropReason.NO_MAJORITY
    right = candidate.correct if winner is None else agree(candidate.answer, winner)
    if not right:
        return DropReason.WRONG_ANSWER
    return DropReason.EMPTY_RATIONALE if candidate.blank else None


def _surplus(candidate: Candidate, kept: Sequence[Candidate], rules: SelectionRules) -> DropReason | None:
    """Whether enough was kept of the question before."""
    if any(candidate.reasoning == earlier.reasoning for earlier in kept):
        return DropReason.DUPLICATE_PATH
    if rules.keep_paths is not None and len(kept) >= rules.keep_paths:
        return DropReason.SURPLUS_PATH
    samples = candidate.steps + sum(earlier.steps for earlier in kept)
    if rules.per_question is not None and samples > rules.per_question:
        return DropReason.QUESTION_FULL
    return None
