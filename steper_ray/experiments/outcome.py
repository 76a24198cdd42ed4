"""What the rows of an ablation come to: means over seeds, intervals over questions, differences from the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from steper_ray.evaluate.compare import check_same
from steper_ray.evaluate.evaluated import MEASURES, Evaluated
from steper_ray.evaluate.interval import Interval, score_interval
from steper_ray.evaluate.scores import StageScore
from steper_ray.experiments.members import Row, runs_of


@dataclass(frozen=True)
class Figure:
    """A score in [0, 1]: mean over questions and seeds, interval over questions, and each seed by itself."""

    mean: float
    interval: Interval
    """Of the mean over seeds, if other questions were asked."""
    by_seed: tuple[float, ...]

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds; None of one."""
        return stdev(self.by_seed) if len(self.by_seed) > 1 else None


@dataclass(frozen=True, slots=True)
class Sigma:
    """A learned σ."""

    last: float
    """In the last update."""
    rest: float
    """Where the losses of the last third of the updates would hold it: √L, L in nats."""


@dataclass(frozen=True)
class Course:
    """What a training saw and came to, from its journal."""

    updates: float = 0
    epochs: float = 0
    """How often the updates showed each unit."""
    target_tokens: float = 0
    training_seconds: float = 0
    """Of its updates alone; 0 where the journal does not say."""
    sigmas: Mapping[str, Sigma] = field(default_factory=dict)
    """By stage that was trained; empty where σ is held at 1."""


@dataclass(frozen=True)
class Outcome:
    """One row with what came out."""

    row: Row
    questions: int
    figures: Mapping[str, Figure]
    """By measure."""
    tokens: float
    """Per finished question."""
    units: int
    """Samples, or trajectories in `turns`, that the member has to train on."""
    course: Course
    """Means over seeds; zeros for what is not trained."""
    stages: Mapping[str, StageScore]
    """Means over seeds; empty without held-out samples."""
    stops: tuple[Mapping[str, int], ...]
    """Of each evaluation, one per seed: finished questions by stop reason."""
    failed: tuple[Mapping[str, int], ...]
    """The same of the other questions, by kind of failure."""


def outcome_of(
    row: Row,
    evaluations: Sequence[Evaluated],
    units: int,
    courses: Sequence[Course],
    stages: Sequence[Mapping[str, StageScore]],
    seed: int,
) -> Outcome:
    """Sum a row up.

    Args:
        row: which.
        evaluations: one per seed.
        units: that it has to train on.
        courses: one per seed.
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
        units=units,
        course=_mean_course(courses),
        stages=_mean_stages(stages),
        stops=tuple(one.stops for one in evaluations),
        failed=tuple(one.failed for one in evaluations),
    )


def mean_scores(evaluations: Sequence[Evaluated], measure: str, order: Sequence[str] | None = None) -> list[float]:
    """The score of each question, mean over seeds, in the order of the first evaluation or of these ids."""
    ids = list(evaluations[0].questions) if order is None else order
    return [_mean([one.questions[id].scores[measure] for one in evaluations]) for id in ids]


def finished_rows(rows: Sequence[Row], unfinished: set[str]) -> list[Row]:
    """The rows of whose runs none is named as unfinished."""
    return [row for row in rows if not runs_of(row) & unfinished]


def failed_notes(rows: Sequence[tuple[Row, Sequence[Evaluated]]]) -> list[str]:
    """How many questions of each evaluation failed, in sentences; each once, though it stands under both controls."""
    told = {
        (name, row.system): f"{name}, {row.system}: {one.failed_told}"
        for row, evaluations in rows
        for name, one in zip(
            [training.name for training in row.trainings] or [str(row.member)], evaluations, strict=True
        )
        if one.failed
    }
    return list(told.values())


def _mean_course(courses: Sequence[Course]) -> Course:
    names = [name for name in (courses[0].sigmas if courses else {}) if all(name in one.sigmas for one in courses)]
    return Course(
        updates=_mean([one.updates for one in courses]),
        epochs=_mean([one.epochs for one in courses]),
        target_tokens=_mean([one.target_tokens for one in courses]),
        training_seconds=_mean([one.training_seconds for one in courses]),
        sigmas={
            name: Sigma(
                last=_mean([one.sigmas[name].last for one in courses]),
                rest=_mean([one.sigmas[name].rest for one in courses]),
            )
            for name in names
        },
    )


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
    return fmean(values) if values else 0.0
