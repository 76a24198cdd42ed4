"""`steper evaluate`: check everything, drive the student over held-out questions, score what it made of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.config import Config
from steper_ray.core.types import LoopSettings, Trajectory
from steper_ray.data.contamination import Trained, contamination, read_hashes, samples_warning
from steper_ray.data.paragraphs import Numbers
from steper_ray.data.questions import QuestionFormat, QuestionSet, read_questions
from steper_ray.data.recordings import coverage_line, read_recordings
from steper_ray.data.schemas import TRAJECTORIES, read_rows, trajectory_of
from steper_ray.drive.cluster import threads_per_engine
from steper_ray.drive.collect import Collection, collect, counts
from steper_ray.drive.fingerprint import claim_folder
from steper_ray.drive.gold_there import gold_warning
from steper_ray.drive.job import LoopJob
from steper_ray.drive.ledger import read_ledger
from steper_ray.drive.lock import sole_writer
from steper_ray.drive.prepare import index_source, prepare
from steper_ray.drive.unfinished import nothing_finished
from steper_ray.errors import ConfigError, PhaseFailed
from steper_ray.evaluate.choice import check_choice, chosen_loop, chosen_model
from steper_ray.evaluate.official import official_numbers, write_official
from steper_ray.evaluate.prediction import Prediction, predictions_of
from steper_ray.evaluate.results import tell, write_results
from steper_ray.evaluate.scores import Scores, StageScore, score
from steper_ray.evaluate.stages import StageJob, check_samples, score_stages
from steper_ray.runs import Manifest, open_folder, write_manifest
from steper_ray.sections.model import ModelSection

_FLUSH_ROWS, _FLUSH_SECONDS = 64, 30.0


@dataclass(frozen=True, slots=True)
class _Ready:
    """What an evaluation is made of, read and found usable."""

    asked: QuestionSet
    job: LoopJob
    parts: dict[str, Any]
    """Of the fingerprint."""
    stages: StageJob | None
    trained: Trained | None
    """Which questions the student was trained on, where that is known."""
    numbers: Mapping[str, Numbers]
    """MuSiQue's paragraph numbers."""


def evaluate(config: Config) -> Scores:
    """Write trajectories/, failures/, predictions and scores into the evaluate folder; continues what is there.

    Raises:
        UserError: settings, questions, index, samples or student are not usable; found before any engine starts.
        PhaseFailed: engines do not start, or no question could be finished.
    """
    ready = _ready(config)
    folder = config.folder("evaluate")
    with sole_writer(folder):
        into = _collection(config, ready.job.model, folder, claim_folder(folder, ready.parts))
        return _evaluate(config, ready, into)


def _ready(config: Config) -> _Ready:
    section = config.evaluate
    check_choice(config)
    asked = _questions(config)
    student = chosen_model(config)
    how = chosen_loop(config, student)
    trained = read_hashes(student.model) if student.model else None
    job, parts = prepare(
        student,
        how,
        config.folder("index"),
        section,
        seed=config.run.seed,
        force_answer=section.force_answer,
        retriever=config.retriever,
        source=index_source(config.index),
        system=section.system,
    )
    assert section.questions is not None
    return _Ready(
        asked=asked,
        job=job,
        parts=parts,
        stages=_stage_job(config, student, how),
        trained=trained,
        numbers=official_numbers(asked, section.questions),
    )


def _evaluate(config: Config, ready: _Ready, into: Collection) -> Scores:
    folder, asked, source = into.folder, ready.asked, config.evaluate.questions
    assert source is not None
    print(asked.line(source))
    notes = _notes(config, ready)
    for note in notes:
        print(note)
    stats = collect(asked.questions, ready.job, into, config.ray, accepted=lambda: open_folder(folder, config))
    numbers = counts(asked.questions, into)
    if numbers["finished"] == 0:
        raise PhaseFailed(nothing_finished(numbers, into.failures))
    stages = _stages(ready.stages, config) if ready.stages else {}
    predictions = _predictions(asked, into)
    scores = score(predictions, seed=config.run.seed, stages=stages, trained=ready.trained)
    write_results(folder, into, predictions, scores, notes, _asked_how(config, ready.job.how))
    write_official(folder, asked.format, predictions, ready.numbers)
    made = _manifest_counts(numbers, predictions, scores)
    write_manifest(folder, Manifest("evaluate", into.fingerprint, made, stats.facts()))
    tell(folder, into, scores, numbers)
    return scores


def _notes(config: Config, ready: _Ready) -> list[str]:
    """What a reader of the scores must know, found before anything runs."""
    notes, asked = [], ready.asked
    if ready.trained and (warning := contamination(asked.questions, ready.trained).warning()):
        notes.append(f"warning: {warning}")
    held_out = read_hashes(ready.stages.samples) if ready.stages else None
    if ready.trained and held_out and (warning := samples_warning(held_out, ready.trained)):
        notes.append(f"warning: {warning}")
    if ready.job.model.backend == "replay" and ready.job.model.recordings:
        notes.append(coverage_line(read_recordings(ready.job.model.recordings), asked.questions))
    if ready.job.searches and (foreign := gold_warning(config, asked.questions)):
        notes.append(f"warning: {foreign}")
    if config.evaluate.aliases is not None:
        notes.append(
            f"note: evaluate.aliases has further names for {asked.aliased:,} of {len(asked.questions):,} answers"
        )
    elif asked.format is QuestionFormat.TWO_WIKI:
        notes.append(
            "note: 2WikiMultiHopQA's script counts further names of an answer as right; evaluate.aliases is empty, so "
            "scores may be lower than its own"
        )
    return notes


def _questions(config: Config) -> QuestionSet:
    section = config.evaluate
    if section.questions is None:
        raise ConfigError("evaluate.questions is missing: a file of held-out questions with gold answers")
    return read_questions(section.questions, limit=section.limit, sample=section.sample, aliases=section.aliases)


def _stage_job(config: Config, student: ModelSection, how: LoopSettings) -> StageJob | None:
    samples = config.evaluate.samples
    if samples is None:
        return None
    if student.model is None:
        raise ConfigError("evaluate.samples needs student.model: a model whose loss can be computed")
    check_samples(samples, how)
    dtype, pack_tokens = config.train.compute_dtype, config.train.pack_tokens
    return StageJob(samples.resolve(), student.model, how, dtype, pack_tokens, threads_per_engine(1))


def _stages(job: StageJob, config: Config) -> dict[str, StageScore]:
    from rich.console import Console

    with Console().status("loss and token accuracy per stage"):
        return score_stages(job, config.ray)


def _collection(config: Config, student: ModelSection, folder: Path, fingerprint: str) -> Collection:
    return Collection(
        folder=folder,
        title="evaluate",
        model_name=student.name,
        fingerprint=fingerprint,
        paths=config.evaluate.paths,
        flush_rows=_FLUSH_ROWS,
        flush_s=_FLUSH_SECONDS,
        retry_permanent=False,
    )


def _predictions(asked: QuestionSet, into: Collection) -> list[Prediction]:
    wanted = {question.id for question in asked.questions}
    finished: dict[str, list[Trajectory]] = {}
    for trajectory in map(trajectory_of, read_rows(into.trajectories, TRAJECTORIES)):
        # An earlier run may have had more questions and more paths.
        if trajectory.question.id in wanted and trajectory.path < into.paths:
            finished.setdefault(trajectory.question.id, []).append(trajectory)
    for paths in finished.values():
        paths.sort(key=lambda trajectory: trajectory.path)
    attempts = read_ledger(into.trajectories, into.failures).failed
    failed = {name: attempts[name, path].kind for name, path in sorted(attempts, reverse=True) if path < into.paths}
    closed_rule = asked.format is not QuestionFormat.MUSIQUE
    return predictions_of(asked.questions, finished, failed, closed_rule=closed_rule)


def _asked_how(config: Config, how: LoopSettings) -> dict[str, str]:
    section = config.evaluate
    return {"role": section.role, "system": section.system.value, "strategy": how.strategy.value}


def _manifest_counts(numbers: dict[str, Any], predictions: Sequence[Prediction], scores: Scores) -> dict[str, Any]:
    assert numbers["questions"] == scores.quality.questions, "every question is scored"
    paths = sum(prediction.paths for prediction in predictions)
    assert numbers["finished"] == paths, "every finished path has its say"
    return {**numbers, "scored": scores.quality.questions}
