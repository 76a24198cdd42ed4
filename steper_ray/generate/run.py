"""`steper generate`: check everything, drive the teacher over all questions, make samples, say what came out."""

from pathlib import Path
from typing import Any

from steper_ray.backends.service import refuse_service
from steper_ray.config import Config
from steper_ray.data.questions import QuestionSet
from steper_ray.drive.collect import Collection, collect, counts
from steper_ray.drive.fingerprint import claim_folder, read_fingerprint
from steper_ray.drive.job import LoopJob
from steper_ray.drive.lock import sole_writer
from steper_ray.drive.prepare import checked, index_source, prepare
from steper_ray.drive.unfinished import incomplete, nothing_finished
from steper_ray.errors import ConfigError, PhaseFailed
from steper_ray.generate.asked import check_recordings, question_set, tell_asked
from steper_ray.generate.samples import samples_job, tell, write_samples
from steper_ray.generate.samples_job import check_folder, check_samples
from steper_ray.generate.table import print_table
from steper_ray.generate.totals import STATS_FILE, totals_of
from steper_ray.runs import Manifest, open_folder, write_json, write_manifest
from steper_ray.storage.folder import publish, tell_published


def generate(config: Config, asked: QuestionSet | None = None, *, quiet: bool = False) -> Manifest:
    """Write trajectories/, failures/ and samples/ into the generate folder; continues what is there.

    Args:
        config: the whole configuration.
        asked: questions read already; None reads those of `generate.questions`.
        quiet: print no results: the caller tells them in its own way.

    Raises:
        UserError: settings, questions, index or teacher are not usable; found before any engine starts.
        PhaseFailed: engines do not start, or no question could be finished.
    """
    section = config.generate
    if section.paths > 1 and config.teacher.temperature == 0:
        raise ConfigError("generate.paths above 1 needs teacher.temperature above 0; greedy paths are all the same")
    check_samples(config)
    asked = asked or question_set(config)
    check_recordings(config)
    refuse_service(config.teacher, "teacher", "it can be evaluated, and no more")
    teacher = checked(config.teacher, "teacher")
    how, index = config.loop.settings(), config.folder("index")
    job, parts = prepare(
        teacher,
        how,
        index,
        section,
        seed=config.run.seed,
        force_answer=False,
        retriever=config.retriever,
        source=index_source(config.index),
    )
    check_folder(config.folder("samples"))
    with sole_writer(config.folder("generate")):
        return _generate(config, asked, job, parts, quiet=quiet)


def _generate(config: Config, asked: QuestionSet, job: LoopJob, parts: dict[str, Any], *, quiet: bool) -> Manifest:
    folder = config.folder("generate")
    into = _collection(config, folder, claim_folder(folder, parts))
    keys = frozenset(into.keys(asked.questions))
    making = samples_job(config, read_fingerprint(folder), keys)
    if not quiet:
        tell_asked(config, asked)
    stats = collect(asked.questions, job, into, config.ray, accepted=lambda: open_folder(folder, config))
    numbers = counts(asked.questions, into)
    if numbers["finished"] == 0:
        raise PhaseFailed(nothing_finished(numbers, into.failures))
    samples, _ = write_samples(making)
    totals = totals_of(into.trajectories, keys, job.how.step_limit)
    manifest = Manifest("generate", into.fingerprint, {**numbers, **samples.counts()}, stats.facts())
    write_json(folder / STATS_FILE, {**manifest.counts, "this_execution": stats.facts(), "all": totals.facts()})
    write_manifest(folder, manifest)
    if quiet:
        return manifest
    print_table(numbers, totals, stats)
    tell(making.folder, samples)
    if config.generate.uri:
        tell_published(publish(folder, config.generate.uri), config.generate.uri)
    _tell_next(folder, numbers, samples.used)
    return manifest


def _collection(config: Config, folder: Path, fingerprint: str) -> Collection:
    section = config.generate
    return Collection(
        folder=folder,
        title="generate",
        model_name=config.teacher.name,
        fingerprint=fingerprint,
        paths=section.paths,
        flush_rows=section.flush_rows,
        flush_s=section.flush_s,
        retry_permanent=section.retry_permanent,
    )


def _tell_next(folder: Path, numbers: dict[str, Any], used: int) -> None:
    if last := incomplete(numbers):
        print(last)
    elif used == 0:
        print(f"next: nothing to train on; see why with `steper inspect {folder}`")
    else:
        print("next: steper train")
