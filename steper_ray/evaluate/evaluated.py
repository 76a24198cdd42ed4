"""A finished evaluation read back: the scores of each question, from `predictions.jsonl`."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from steper_ray.core.types import FailureKind, StopReason, System
from steper_ray.data.contamination import told_contamination
from steper_ray.data.records import Record, read_records
from steper_ray.drive.unfinished import failures_told
from steper_ray.errors import RunFolderError

PREDICTIONS_FILE = "predictions.jsonl"
SCORES_FILE = "scores.json"
MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "exact_match": "EM",
        "f1": "F1",
        "accuracy_substring": "Acc (substring)",
        "accuracy_tokens": "Acc (whole tokens)",
    }
)
"""Names of the scores by their field."""
_REMEDY = "Run `steper evaluate` again"
_NOT_STARTED = "not_started"
_Kind = TypeVar("_Kind", StopReason, FailureKind)


@dataclass(frozen=True, slots=True)
class ScoredQuestion:
    """One line of predictions, as far as it is compared."""

    text: str
    golden_answers: tuple[str, ...]
    scores: Mapping[str, float]
    """By field, in [0, 1]."""
    tokens: int
    """Prompt and completion."""
    stop: StopReason | None
    """None of one without a trajectory."""
    failure: FailureKind | None = None
    """Neither this nor `stop`: it was not started."""
    seconds: float | None = None
    """Of the completions; None where nobody wrote it."""

    @property
    def finished(self) -> bool:
        """Whether there is a trajectory."""
        return self.stop is not None

    @property
    def right(self) -> bool:
        """By EM."""
        return self.scores["exact_match"] == 1.0


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One system on all its questions."""

    folder: Path
    model: str
    """What the evaluation calls it."""
    questions: Mapping[str, ScoredQuestion]
    """By id."""
    warning: str = ""
    """That the student was trained on some of them, with counts; empty where it was not, or nobody knows."""

    @property
    def stops(self) -> dict[str, int]:
        """Finished questions by stop reason, in the order of these."""
        found = Counter(one.stop for one in self.questions.values())
        return {reason.value: found[reason] for reason in StopReason if found[reason]}

    @property
    def failed(self) -> dict[str, int]:
        """Questions without a trajectory by kind of failure, `not_started` among them."""
        found = Counter(str(one.failure or _NOT_STARTED) for one in self.questions.values() if not one.finished)
        return dict(sorted(found.items()))

    @property
    def failed_told(self) -> str:
        """How many questions failed, as a sentence without full stop; empty where none did."""
        failed = self.failed
        if not failed:
            return ""
        number = sum(failed.values())
        told = f"{number:,} of {len(self.questions):,} questions failed and score 0 ({failures_told(failed)})"
        left = sum(count for kind, count in failed.items() if kind == _NOT_STARTED or FailureKind(kind).transient)
        return f"{told}; another run of the evaluation tries {left:,} of them again" if left else told


def read_evaluated(run: Path) -> Evaluated:
    """Read the evaluation in a folder, or that of a run folder.

    Raises:
        RunFolderError: no evaluation there.
        InputError: a line is broken, or an id stands there twice.
    """
    folder = next((place for place in (run, run / "evaluate") if (place / PREDICTIONS_FILE).is_file()), None)
    if folder is None:
        raise RunFolderError(
            f"no {PREDICTIONS_FILE} in {run} nor in {run / 'evaluate'}; run `steper evaluate` first, or name its folder"
        )
    questions: dict[str, ScoredQuestion] = {}
    for record in read_records(folder / PREDICTIONS_FILE):
        id = record.id()
        if id in questions:
            raise record.fault("duplicate id", field="id", found=id, remedy=_REMEDY)
        questions[id] = _question(record)
    if not questions:
        raise RunFolderError(f"{folder / PREDICTIONS_FILE} holds no question; run `steper evaluate` again")
    scores = _scores(folder)
    return Evaluated(folder, _model(folder, scores), questions, told_contamination(scores))


def _question(record: Record) -> ScoredQuestion:
    golds = record.values.get("golden_answers")
    if not isinstance(golds, list) or not all(isinstance(gold, str) for gold in golds):
        raise record.fault("must be a list of texts", field="golden_answers", found=golds, remedy=_REMEDY)
    return ScoredQuestion(
        text=record.text("question", remedy=_REMEDY),
        golden_answers=tuple(golds),
        scores={measure: _score(record, measure) for measure in MEASURES},
        tokens=_tokens(record, "prompt_tokens") + _tokens(record, "completion_tokens"),
        stop=_kind(record, "stop", StopReason),
        failure=_kind(record, "failure", FailureKind),
        seconds=_seconds(record),
    )


def _kind(record: Record, field: str, kinds: type[_Kind]) -> _Kind | None:
    value = record.values.get(field)
    try:
        return None if value is None else kinds(value)
    except ValueError:
        raise record.fault(f"must be one of {', '.join(kinds)}", field=field, found=value, remedy=_REMEDY) from None


def _score(record: Record, field: str) -> float:
    value = record.values.get(field)
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise record.fault("must be a score from 0 to 1", field=field, found=value, remedy=_REMEDY)
    return float(value)


def _tokens(record: Record, field: str) -> int:
    value = record.values.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise record.fault("must be a number of tokens", field=field, found=value, remedy=_REMEDY)
    return value


def _seconds(record: Record) -> float | None:
    value = record.values.get("seconds")
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < inf:
        raise record.fault("must be a number of seconds", field="seconds", found=value, remedy=_REMEDY)
    return float(value)


def _scores(folder: Path) -> Mapping[str, Any]:
    """What scores.json says; nothing where there is none that can be read."""
    try:
        values = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _model(folder: Path, scores: Mapping[str, Any]) -> str:
    """As scores.json names it, with the system where that is not the loop; a folder without one is named by itself."""
    name, system = str(scores.get("model", folder.name)), scores.get("system", System.MULTI_STEP)
    return name if system == System.MULTI_STEP else f"{name}, {system}"
