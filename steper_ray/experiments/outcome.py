"""What the rows of an ablation come to: means over seeds, intervals over questions, differences from the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steper_ray.core.types import System
from steper_ray.errors import RunFolderError
from steper_ray.evaluate.compare import check_same
from steper_ray.evaluate.evaluated import Evaluated
from steper_ray.evaluate.interval import Interval, score_interval
from steper_ray.evaluate.paired import Difference, paired
from steper_ray.evaluate.scores import StageScore
from steper_ray.experiments.members import Member, Row

MEASURES = ("exact_match", "f1")


@dataclass(frozen=True)
class Figure:
    """A score in [0, 1]: mean over questions and seeds, interval over questions, and each seed by itself."""

    mean: float
    interval: Interval
    """Of the mean over seeds, if other questions were asked."""
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Outcome:
    """One row with what came out."""

    row: Row
    questions: int
    figures: Mapping[str, Figure]
    """By measure."""
    tokens: float
    """Per finished question."""
    target_tokens: float
    """Trained on, mean over seeds; 0 for what is not trained."""
    stages: Mapping[str, StageScore]
    """Means over seeds; empty without held-out samples."""


@dataclass(frozen=True)
class Against:
    """The reference less another row, in EM."""

    row: Row
    difference: Difference
    corrected: float
    """p-value times what Holm's method makes of the number of comparisons of the table."""


def outcome_of(
    row: Row,
    evaluations: Sequence[Evaluated],
    target_tokens: Sequence[int],
    stages: Sequence[Mapping[str, StageScore]],
    seed: int,
) -> Outcome:
    """Sum a row up.

    Args:
        row: which.
        evaluations: one per seed.
        target_tokens: trained on, one per seed.
        stages: of each seed; empty mappings without held-out samples.
        seed: of the bootstrap.

    Raises:
        RunFolderError: the seeds were evaluated on different questions.
    """
    for other in evaluations[1:]:
        check_same(evaluations[0], other)
    figures = {}
    for measure in MEASURES:
        values = mean_scores(evaluations, measure)
        by_seed = tuple(_mean([found.scores[measure] for found in one.questions.values()]) for one in evaluations)
        figures[measure] = Figure(_mean(values), score_interval(values, seed), by_seed)
    tokens = [found.tokens for one in evaluations for found in one.questions.values() if found.finished]
    return Outcome(
        row=row,
        questions=len(evaluations[0].questions),
        figures=figures,
        tokens=_mean(tokens),
        target_tokens=_mean(target_tokens),
        stages=_mean_stages(stages),
    )


def against_reference(rows: Sequence[tuple[Row, Sequence[Evaluated]]], reference: Member, seed: int) -> list[Against]:
    """The reference, in the loop, against every other row of the same control, and against what is not trained.

    Raises:
        RunFolderError: they were evaluated on different questions.
    """
    found: list[tuple[Row, Difference]] = []
    for ours, mine in rows:
        if ours.member != reference or ours.system is not System.MULTI_STEP:
            continue
        for row, evaluations in rows:
            if row != ours and row.control in (ours.control, None):
                check_same(mine[0], evaluations[0])
                order = list(mine[0].questions)
                theirs, here = (mean_scores(one, "exact_match", order) for one in (evaluations, mine))
                found.append((_under(row, ours), paired(theirs, here, seed)))
    corrected = holm([difference.p_value for _, difference in found])
    return [Against(row, difference, p) for (row, difference), p in zip(found, corrected, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the order given.

    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def mean_scores(evaluations: Sequence[Evaluated], measure: str, order: Sequence[str] | None = None) -> list[float]:
    """The score of each question, mean over seeds, in the order of the first evaluation or of these ids."""
    ids = list(evaluations[0].questions) if order is None else order
    return [_mean([one.questions[id].scores[measure] for one in evaluations]) for id in ids]


def _under(row: Row, reference: Row) -> Row:
    """What is not trained stands in both parts of the table."""
    return Row(reference.control, row.member, row.system, row.trainings)


def _mean_stages(stages: Sequence[Mapping[str, StageScore]]) -> dict[str, StageScore]:
    names = [name for name in (stages[0] if stages else {}) if all(name in one for one in stages)]
    return {
        name: StageScore(
            loss=_mean([one[name].loss for one in stages]),
            token_accuracy=_mean([one[name].token_accuracy for one in stages]),
            tokens=stages[0][name].tokens,
        )
        for name in names
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def finished_rows(rows: Sequence[Row], failed: set[str]) -> list[Row]:
    """The rows whose trainings all came to their end.

    Raises:
        RunFolderError: there is none.
    """
    left = [row for row in rows if not any(training.name in failed for training in row.trainings)]
    if not left:
        raise RunFolderError("no member of the ablation could be finished")
    return left
