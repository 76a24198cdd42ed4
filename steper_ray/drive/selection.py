"""Which trajectories of a folder become samples: the core's decision, question by question, over Parquet parts.

One pass over keys, answers and rationales decides; whoever wants the rows reads them afterwards. Held meanwhile are one
`Candidate` per finished trajectory (some hundred bytes: a million takes less than 1 GB), and then a reason for each.
"""

import hashlib
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from steper_ray.core.balance import surplus
from steper_ray.core.majority import agree
from steper_ray.core.selection import Candidate, Choice, SelectionRules, candidate_of, choose
from steper_ray.core.types import DropReason, StopReason
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.drive.ledger import Key

_COLUMNS = ["question_id", "path", "golden_answers", "answer", "stop", "steps.list.element.rationale"]


@dataclass(frozen=True)
class Agreement:
    """How a majority vote went; all in questions."""

    asked: int = 0
    """With a finished trajectory."""
    decided: int = 0
    """With a majority."""
    with_gold: int = 0
    """Decided, and with a gold answer to compare."""
    gold: int = 0
    """Of these, with a majority that is right."""


@dataclass(frozen=True)
class Selection:
    """What becomes of every finished trajectory."""

    reasons: Mapping[Key, DropReason | None]
    """None: used."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """The majority's answer by question id; empty where gold answers decide."""
    agreement: Agreement = field(default_factory=Agreement)


def select(trajectories: Path, asked: Container[Key] | None, rules: SelectionRules) -> Selection:
    """Decide about all finished trajectories of a folder.

    Args:
        trajectories: folder of parts; the paths of a question may lie in several of them.
        asked: keys to look at; None looks at all.
        rules: what is kept.
    """
    by_question = _candidates(trajectories, asked)
    choices = {name: choose(candidates, rules) for name, candidates in by_question.items()}
    reasons = {(name, path): reason for name, choice in choices.items() for path, reason in choice.reasons.items()}
    if rules.max_stage_share is not None:
        steps = {(name, found.path): found.steps for name, candidates in by_question.items() for found in candidates}
        kept = {key: steps[key] for key, reason in reasons.items() if reason is None}
        reasons.update(dict.fromkeys(_unbalanced(kept, rules.max_stage_share), DropReason.STAGE_BALANCE))
    answers = {name: choice.answer for name, choice in choices.items() if choice.answer is not None}
    return Selection(reasons, answers, _agreement(by_question, choices))


def _candidates(trajectories: Path, asked: Container[Key] | None) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    for row in read_rows(trajectories, TRAJECTORIES, _COLUMNS):
        if asked is None or (row["question_id"], row["path"]) in asked:
            rationales = [step["rationale"] for step in row["steps"]]
            candidate = candidate_of(
                row["path"], StopReason(row["stop"]), row["answer"], row["golden_answers"], rationales
            )
            found.setdefault(row["question_id"], []).append(candidate)
    return found


def _unbalanced(steps: Mapping[Key, int], share: float) -> list[Key]:
    """The keys to leave out, chosen by a hash of the key: no part of the question file is favoured."""
    left = surplus(Counter(steps.values()), share)
    out = []
    for key in sorted(steps, key=lambda key: hashlib.sha256(repr(key).encode()).digest()):
        if left.get(steps[key], 0):
            left[steps[key]] -= 1
            out.append(key)
    return out


def _agreement(by_question: Mapping[str, list[Candidate]], choices: Mapping[str, Choice]) -> Agreement:
    decided = with_gold = gold = 0
    for name, choice in choices.items():
        if choice.answer is None:
            continue
        decided += 1
        # Answers that agree are equal after normalisation, so one of them stands for all.
        winner = next(found for found in by_question[name] if agree(found.answer, choice.answer))
        with_gold += winner.correct is not None
        gold += bool(winner.correct)
    return Agreement(len(choices), decided, with_gold, gold)
