"""Which trajectories of an evaluation are shown: the ten worst and the ten most typical."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from steper_ray.core.types import Trajectory
from steper_ray.data.records import read_records
from steper_ray.data.schemas import TRAJECTORIES, read_rows, trajectory_of
from steper_ray.report.record import EvaluationRecord

SHOWN = 10
PREDICTIONS_FILE = "predictions.jsonl"
Row = Mapping[str, Any]
"""A line of predictions."""


@dataclass(frozen=True)
class Shown:
    """A prediction with its trajectory."""

    row: Row
    trajectory: Trajectory


@dataclass(frozen=True)
class Examples:
    """What of an evaluation is shown."""

    worst: Sequence[Shown]
    typical: Sequence[Shown]


def read_examples(evaluation: EvaluationRecord) -> Examples | None:
    """Read predictions and the trajectories of those chosen; None where the evaluation left no predictions.

    Raises:
        InputError: a line of predictions is broken.
    """
    path = evaluation.folder / PREDICTIONS_FILE
    if not path.is_file():
        return None
    rows = [dict(record.values) for record in read_records(path)]
    worst, typical = worst_rows(rows), typical_rows(rows)
    wanted = {row["id"] for row in [*worst, *typical]}
    paths = range(max((int(row.get("paths", 1) or 1) for row in rows), default=1))
    found: dict[str, list[Trajectory]] = {}
    keys = {(id, number) for id in wanted for number in paths}
    for row in read_rows(evaluation.folder / "trajectories", TRAJECTORIES, keys=keys):
        found.setdefault(row["question_id"], []).append(trajectory_of(row))
    return Examples(*([_shown(row, found) for row in rows if row["id"] in found] for rows in (worst, typical)))


def worst_rows(rows: Sequence[Row], number: int = SHOWN) -> list[Row]:
    """Finished and wrong: the lowest F1 first, of equal ones those that cost most tokens."""
    wrong = [row for row in rows if row.get("stop") and not row["exact_match"]]
    return sorted(wrong, key=lambda row: (row["f1"], -_tokens(row), row["id"]))[:number]


def typical_rows(rows: Sequence[Row], number: int = SHOWN) -> list[Row]:
    """Finished, nearest to the median number of steps, then of tokens; right and wrong as often as in all."""
    finished = [row for row in rows if row.get("stop")]
    if not finished:
        return []
    steps, tokens = median(len(row["steps"]) for row in finished), median(_tokens(row) for row in finished)

    def distance(row: Row) -> tuple[float, float, str]:
        return abs(len(row["steps"]) - steps), abs(_tokens(row) - tokens), row["id"]

    right = sorted((row for row in finished if row["exact_match"]), key=distance)
    wrong = sorted((row for row in finished if not row["exact_match"]), key=distance)
    rights = round(number * len(right) / len(finished))
    return sorted([*right[:rights], *wrong[: number - rights]], key=distance)


def _shown(row: Row, found: Mapping[str, Sequence[Trajectory]]) -> Shown:
    """Of several paths the earliest with the answer that was taken."""
    paths = sorted(found[row["id"]], key=lambda trajectory: trajectory.path)
    return Shown(row, next((path for path in paths if path.answer == row["answer"]), paths[0]))


def _tokens(row: Row) -> int:
    return int(row.get("prompt_tokens", 0)) + int(row.get("completion_tokens", 0))
