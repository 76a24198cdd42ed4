"""The samples job: trajectories on disk → training samples on disk, every trajectory used or dropped for a reason."""

import shutil
from collections.abc import Container
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from steper_ray.config import Config
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.samples import samples_of
from steper_ray.core.selection import Correctness
from steper_ray.core.types import STAGE_TERMS, Layout, Sample, Stage, Target
from steper_ray.data.contamination import hash_line, write_hashes
from steper_ray.data.schemas import (
    MESSAGES,
    MESSAGES_FOLDER,
    SAMPLES,
    TRAJECTORIES,
    messages_row,
    read_rows,
    sample_row,
    trajectory_of,
)
from steper_ray.drive.fingerprint import read_fingerprint
from steper_ray.drive.ledger import Key
from steper_ray.drive.selection import Selection, select
from steper_ray.drive.writer import PartWriter
from steper_ray.generate.asked import question_set
from steper_ray.generate.card import CARD_FILE, CardFacts, write_card
from steper_ray.generate.sample_counts import SampleCounts
from steper_ray.generate.samples_job import SamplesJob, check_folder, check_loop, check_samples, corpus_language, form
from steper_ray.runs import Manifest, write_manifest
from steper_ray.sections.shared import LoopSection
from steper_ray.storage.folder import publish, tell_published
from steper_ray.telemetry.phase_log import PhaseLog

_ROWS_PER_PART = 4096


def samples(config: Config) -> Manifest:
    """`steper samples`: make the samples of a generate folder again, with other rules or in another form; no teacher.

    Raises:
        UserError: no trajectories there, or settings that do not fit them.
    """
    check_samples(config)
    generation = config.folder("generate")
    parts = read_fingerprint(generation)
    check_loop(config.loop, LoopSection.model_validate(parts["loop"]).settings())
    counts, manifest = write_samples(samples_job(config, parts, _asked(config)))
    tell(config.folder("samples"), counts)
    if counts.used == 0:
        print("next: nothing to train on; `steper inspect` shows why each trajectory was dropped")
    return manifest


def samples_job(config: Config, parts: dict[str, Any], asked: Container[Key] | None) -> SamplesJob:
    """The job of a configuration, over trajectories with these fingerprint parts.

    Raises:
        UserError: the samples folder holds something else.
    """
    loop = LoopSection.model_validate(parts["loop"]).settings()
    job = SamplesJob(
        generation=config.folder("generate"),
        folder=config.folder("samples"),
        run=config.run.folder,
        asked=asked,
        section=config.samples,
        how=form(config.samples, loop),
        parts=parts,
        language=corpus_language(config, parts.get("index", {})),
    )
    check_folder(job.folder, job.fingerprint)
    return job


def write_samples(job: SamplesJob) -> tuple[SampleCounts, Manifest]:
    """Decide about all trajectories, then write the samples of those that are used, with card and manifest."""
    with PhaseLog(job.run / "samples", "samples", trajectories=str(job.generation)) as log:
        counts, manifest = _write(job)
        log.count(counts.counts())
        for warning in counts.warnings():
            log.warn(warning)
        if job.section.uri:
            tell_published(publish(job.folder, job.section.uri), job.section.uri)
    return counts, manifest


def _write(job: SamplesJob) -> tuple[SampleCounts, Manifest]:
    selection = select(job.generation / "trajectories", job.asked, job.section.rules())
    building = job.folder.with_name(f".{job.folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    try:
        counts, examples = _write_rows(job, selection, building)
        manifest = Manifest("samples", job.fingerprint, counts.counts(), _facts(job, selection, counts))
        write_card(building, manifest, job.section, CardFacts(job.language, job.parts, examples))
        write_manifest(building, manifest)
        shutil.rmtree(job.folder, ignore_errors=True)
        building.rename(job.folder)
    finally:
        # On a full disk half of them would be in the way of the next try.
        shutil.rmtree(building, ignore_errors=True)
    return counts, manifest


def tell(folder: Path, counts: SampleCounts) -> None:
    """Say on the terminal what came out."""
    stages = ", ".join(f"{counts.stages[stage]:,} {term}" for stage, term in STAGE_TERMS.items())
    dropped = ", ".join(f"{number:,} {reason}" for reason, number in sorted(counts.dropped.items())) or "none"
    print(
        f"samples: {counts.samples:,} ({stages}) of {counts.used:,} of {counts.finished:,} trajectories, "
        f"dropped: {dropped}; in {folder}, described in {folder / CARD_FILE}"
    )
    for warning in counts.warnings():
        print(f"warning: {warning}")


def _asked(config: Config) -> frozenset[Key] | None:
    """The keys of the question file, where one is named; None for all that is in the folder."""
    if config.generate.questions is None:
        return None
    found = question_set(config, answered=True).questions
    return frozenset((question.id, path) for question in found for path in range(config.generate.paths))


def _write_rows(job: SamplesJob, selection: Selection, building: Path) -> tuple[SampleCounts, dict[Stage, Sample]]:
    kept = {key for key, reason in selection.reasons.items() if reason is None}
    counts = SampleCounts(finished=len(selection.reasons), questions=len({name for name, _ in kept}))
    counts.dropped.update(reason for reason in selection.reasons.values() if reason is not None)
    examples: dict[Stage, Sample] = {}
    hashes: set[str] = set()
    with ExitStack() as stack:
        writer = stack.enter_context(PartWriter(building, SAMPLES, rows=_ROWS_PER_PART, seconds=float("inf")))
        chats = stack.enter_context(_messages_writer(building)) if job.section.messages else None
        for row in read_rows(job.generation / "trajectories", TRAJECTORIES, keys=kept):
            trajectory, answer = trajectory_of(row), selection.answers.get(row["question_id"])
            counts.used += 1
            hashes.add(hash_line(trajectory.question))
            counts.one_step += len(trajectory.steps) == 1
            counts.teachers.add(row["model"])
            # Prompts are built now, whatever version the teacher saw.
            provenance = {name: row[name] for name in ("model", "fingerprint")} | {"prompt_version": PROMPT_VERSION}
            for sample in samples_of(trajectory, job.how, answer):
                counts.stages[sample.stage] += 1
                examples.setdefault(sample.stage, sample)
                writer.add(sample_row(sample, provenance))
            if chats is not None:
                as_chat = replace(job.how, layout=Layout.TURNS, target=Target.STEP)
                chats.add(messages_row(samples_of(trajectory, as_chat, answer)[-1], provenance))
    write_hashes(building, hashes)
    return counts, examples


def _messages_writer(building: Path) -> PartWriter:
    return PartWriter(building / MESSAGES_FOLDER, MESSAGES, rows=_ROWS_PER_PART, seconds=float("inf"))


def _facts(job: SamplesJob, selection: Selection, counts: SampleCounts) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "loop": asdict(job.how),
        "prompt_version": PROMPT_VERSION,
        "teachers": sorted(counts.teachers),
        "rules": asdict(job.section.rules()),
        "one_step_share": round(counts.one_step_share, 4),
        "stage_shares": counts.shares(),
        "warnings": counts.warnings(),
    }
    if job.section.correctness is Correctness.MAJORITY:
        facts["majority"] = asdict(selection.agreement)
    return facts
