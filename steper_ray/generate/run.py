"""`steper generate`: check everything, drive the teacher over all questions, make samples, say what came out."""

from pathlib import Path
from typing import Any

from steper_ray.config import Config
from steper_ray.core.selection import Correctness
from steper_ray.core.types import Question, Strategy
from steper_ray.data.questions import read_questions
from steper_ray.data.recordings import holds_decompositions
from steper_ray.drive.collect import Collection, collect, counts
from steper_ray.drive.fingerprint import claim_folder, read_fingerprint
from steper_ray.drive.prepare import checked, prepare
from steper_ray.drive.progress import LoopStats
from steper_ray.errors import ConfigError, PhaseFailed
from steper_ray.generate.sample_counts import SampleCounts
from steper_ray.generate.samples import samples_job, tell, write_samples
from steper_ray.generate.samples_job import check_folder, check_samples
from steper_ray.runs import Manifest, open_folder, write_manifest


def generate(config: Config) -> Manifest:
    """Write trajectories/, failures/ and samples/ into the generate folder; continues what is there.

    Raises:
        UserError: settings, questions, index or teacher are not usable; found before any engine starts.
        PhaseFailed: engines do not start, or no question could be finished.
    """
    if config.generate.paths > 1 and config.teacher.temperature == 0:
        raise ConfigError("generate.paths above 1 needs teacher.temperature above 0; greedy paths are all the same")
    check_samples(config)
    questions = _questions(config)
    _check_form(config)
    job, parts = prepare(
        checked(config.teacher, "teacher"),
        config.loop.settings(),
        config.folder("index"),
        config.generate,
        seed=config.run.seed,
        force_answer=False,
    )
    check_folder(config.folder("samples"))
    folder = open_folder(config.folder("generate"), config)
    into = _collection(config, folder, claim_folder(folder, parts))
    making = samples_job(config, read_fingerprint(folder), frozenset(into.keys(questions)))
    stats = collect(questions, job, into, config.ray)
    asked = counts(questions, into)
    if asked["finished"] == 0:
        raise PhaseFailed(f"no question could be finished: {asked['failed']}; the reasons stand in {into.failures}")
    samples, _ = write_samples(making)
    manifest = Manifest("generate", into.fingerprint, {**asked, **samples.counts()}, stats.facts())
    write_manifest(folder, manifest)
    _tell(config, asked, samples, stats)
    return manifest


def _questions(config: Config) -> list[Question]:
    if config.generate.questions is None:
        raise ConfigError("generate.questions is missing: a file of questions with gold answers")
    vote = config.samples.correctness is Correctness.MAJORITY
    return list(
        read_questions(config.generate.questions, limit=config.generate.limit, require_answers=not vote).questions
    )


def _check_form(config: Config) -> None:
    """MuSiQue's decompositions ask; the instruction of another strategy would not fit them."""
    recordings = config.teacher.recordings
    if config.teacher.backend != "replay" or recordings is None or config.loop.strategy is Strategy.SELF_ASK:
        return
    if holds_decompositions(recordings):
        raise ConfigError(
            f"teacher.recordings={recordings} holds decompositions, which are self-ask; found loop.strategy="
            f"{config.loop.strategy}, set loop.strategy=self_ask"
        )


def _collection(config: Config, folder: Path, fingerprint: str) -> Collection:
    section = config.generate
    return Collection(
        folder=folder,
        title="generate",
        model_name=config.teacher.model.name if config.teacher.model else config.teacher.backend,
        fingerprint=fingerprint,
        paths=section.paths,
        flush_rows=section.flush_rows,
        flush_s=section.flush_s,
        retry_permanent=section.retry_permanent,
    )


def _tell(config: Config, asked: dict[str, Any], samples: SampleCounts, stats: LoopStats) -> None:
    print(
        f"generate: {asked['finished']} of {asked['asked']} trajectories finished, failed {asked['failed'] or 'none'}; "
        f"cache hits {stats.cache_hit_rate:.0%}"
    )
    tell(config.folder("samples"), samples)
    if asked["failed"] or asked["not_started"]:
        print("next: the same command again tries what failed for a transient reason")
    elif samples.used == 0:
        print(f"next: nothing to train on; see why with `steper inspect {config.folder('generate')}`")
    else:
        print("next: steper train")
