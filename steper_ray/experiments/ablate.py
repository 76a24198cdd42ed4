"""`steper ablate`: the methods trained on the same trajectories, evaluated on the same questions, and their table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steper_ray.backends.model_folder import check_model_folder
from steper_ray.config import Config
from steper_ray.core.types import LoopSettings
from steper_ray.drive.cluster import cluster_address, connect
from steper_ray.drive.fingerprint import read_fingerprint
from steper_ray.drive.lock import sole_writer
from steper_ray.errors import ConfigError, PhaseFailed
from steper_ray.evaluate.evaluated import SCORES_FILE, Evaluated, read_evaluated
from steper_ray.evaluate.scores import StageScore
from steper_ray.evaluate.table import markdown, rich_table
from steper_ray.experiments.configs import (
    evaluation_config,
    evaluation_folder,
    held_out_config,
    samples_config,
    samples_folder,
    training_config,
    training_folder,
)
from steper_ray.experiments.member_run import MemberRun, run_members
from steper_ray.experiments.members import (
    Form,
    Member,
    Row,
    Size,
    Training,
    enough_epochs,
    equal_updates,
    parse_member,
    plan_rows,
    reference_of,
    trainings_of,
    usual_updates,
)
from steper_ray.experiments.outcome import Against, Outcome, against_reference, finished_rows, outcome_of
from steper_ray.experiments.sizes import member_size
from steper_ray.experiments.tables import ablation_json, ablation_tables
from steper_ray.runs import Manifest, open_folder, write_json, write_manifest, write_text
from steper_ray.sections.shared import LoopSection
from steper_ray.train.journal import read_journal

PAGE_FILE, NUMBERS_FILE = "ablation.md", "ablation.json"


@dataclass(frozen=True)
class Ablation:
    """What is compared with what."""

    rows: tuple[Row, ...]
    reference: Member
    sizes: dict[Member, Size]
    how: LoopSettings
    """Of the trajectories."""


def ablate(config: Config) -> list[Outcome]:
    """Train and evaluate all members, print the table and write it; finished members are skipped.

    Raises:
        UserError: settings, trajectories, questions or model are not usable; found before anything is trained.
        EnvironmentFault: fewer CPUs or GPUs than asked for.
        PhaseFailed: a member could not be finished; the table of the others is written.
    """
    members = _checked_members(config)
    how = LoopSection.model_validate(read_fingerprint(config.folder("generate"))["loop"]).settings()
    folder = config.folder("ablate")
    with sole_writer(folder):
        open_folder(folder, config)
        _make_samples(config, {member.form for member in members})
        plan = plan_ablation(config, members, how)
        tell_plan(plan)
        connect(config.ray)
        failed = run_members(member_runs(config, plan), _parallel(config))
        outcomes = _report(config, plan, failed)
    if failed:
        told = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise PhaseFailed(f"{len(failed)} members could not be finished: {told}. The same command continues")
    return outcomes


def plan_ablation(config: Config, members: Sequence[Member], how: LoopSettings) -> Ablation:
    """Size the members and fix how long each is trained; reads the samples that `_make_samples` left."""
    section, train = config.ablate, config.train
    assert train.model is not None
    reference = reference_of(members, section.reference)
    trained = [member for member in members if member.trained]
    sizes = {member: member_size(samples_folder(config, member.form), train.model, member) for member in trained}
    updates = (
        section.updates
        or train.updates
        or usual_updates(sizes[reference], train.batch, train.epochs, train.held_out_share)
    )
    budgets = {
        (control, member): equal_updates(control, sizes[member], sizes[reference], updates)
        for control in section.controls
        for member in trained
    }
    return Ablation(tuple(plan_rows(members, budgets, section.seeds)), reference, sizes, how)


def member_runs(config: Config, plan: Ablation) -> list[MemberRun]:
    """What is to be done: the untrained member of each form, then every training with its evaluations."""
    runs = []
    for row in plan.rows:
        if not row.trainings:
            evaluation = evaluation_config(config, row.member, None, row.system, plan.how)
            name = f"{row.member.method}-{row.member.form}-{row.system}"
            runs.append(MemberRun(name, evaluation.folder("evaluate"), None, (evaluation,), keep_checkpoints=True))
    for training in trainings_of(plan.rows):
        member = training.member
        epochs = enough_epochs(training.updates, plan.sizes[member], config.train.batch, config.train.held_out_share)
        evaluations = tuple(evaluation_config(config, member, training, system, plan.how) for system in member.systems)
        runs.append(
            MemberRun(
                name=training.name,
                folder=training_folder(config, training),
                train=training_config(config, training, epochs),
                evaluations=evaluations,
                keep_checkpoints=config.ablate.keep_checkpoints,
            )
        )
    return runs


def tell_plan(plan: Ablation) -> None:
    """Say what will be trained."""
    for row in plan.rows:
        if row.trainings:
            size, first = plan.sizes[row.member], row.trainings[0]
            print(
                f"ablate: {row.member} ({row.control}): {first.updates:,} updates, {len(row.trainings)} seed(s), of "
                f"{size.units:,} units with {size.target_tokens:,} target tokens"
            )


def _checked_members(config: Config) -> list[Member]:
    members = [parse_member(text) for text in config.ablate.members]
    reference_of(members, config.ablate.reference)
    if config.train.model is None:
        raise ConfigError("train.model is missing: the Hugging Face folder that every member starts from")
    check_model_folder(config.train.model)
    if config.evaluate.questions is None:
        raise ConfigError("evaluate.questions is missing: a file of held-out questions with gold answers")
    if config.student.backend in ("service", "openai"):
        raise ConfigError(f"student.backend={config.student.backend} cannot run the members' weights; leave it out")
    return members


def _make_samples(config: Config, forms: set[Form]) -> None:
    from steper_ray.generate.samples import samples

    for form in sorted(forms):
        samples(samples_config(config, form))
        if config.ablate.held_out is not None:
            samples(held_out_config(config, form))


def _parallel(config: Config) -> int:
    """As asked; else what the GPUs take, or the CPUs of a cluster; on one machine without GPUs one at a time."""
    import ray

    if config.ablate.parallel is not None:
        return config.ablate.parallel
    there: dict[str, float] = ray.cluster_resources()
    train = config.train
    if train.gpus_per_worker:
        return max(1, int(there.get("GPU", 0) // (train.workers * train.gpus_per_worker)))
    if not cluster_address(config.ray):
        return 1
    return max(1, int(there.get("CPU", 0) // (train.workers * train.cpus_per_worker + 2)))


def _report(config: Config, plan: Ablation, failed: dict[str, str]) -> list[Outcome]:
    from rich.console import Console

    folder, seed = config.folder("ablate"), config.run.seed
    rows = finished_rows(plan.rows, set(failed))
    evaluated = [(row, _evaluations(config, row)) for row in rows]
    outcomes = [
        outcome_of(row, found, _target_tokens(config, row), [_stages(one.folder) for one in found], seed)
        for row, found in evaluated
    ]
    against = against_reference(evaluated, plan.reference, seed)
    tables = ablation_tables(outcomes, against, plan.reference)
    write_text(folder / PAGE_FILE, markdown("Ablation", _about(config, plan, against, failed), tables))
    write_json(folder / NUMBERS_FILE, ablation_json(outcomes, against, plan.reference, failed))
    counts = {"rows": len(plan.rows), "finished": len(rows), "failed": len(plan.rows) - len(rows)}
    write_manifest(folder, Manifest("ablate", "", counts, {"failed": failed}))
    console = Console(highlight=False, soft_wrap=True)
    for table in tables:
        console.print(rich_table(table))
    print(f"ablate: {len(rows)} of {len(plan.rows)} rows; table in {folder / PAGE_FILE}")
    return outcomes


def _about(config: Config, plan: Ablation, against: Sequence[Against], failed: dict[str, str]) -> list[str]:
    lines = [
        f"Start: `{config.train.model.name if config.train.model else ''}`; batch {config.train.batch}, learning rate "
        f"{config.train.learning_rate:g}; seeds {', '.join(map(str, config.ablate.seeds))}. Intervals are over "
        "questions; the scores of single seeds stand beside them.",
        "",
        f"Differences are {plan.reference} less the other; p after Holm holds for all {len(against)} comparisons.",
    ]
    return lines + [line for name, why in failed.items() for line in ("", f"Failed: {name}: {why}")]


def _evaluations(config: Config, row: Row) -> list[Evaluated]:
    trainings: Sequence[Training | None] = row.trainings or (None,)
    return [read_evaluated(evaluation_folder(config, row.member, training, row.system)) for training in trainings]


def _target_tokens(config: Config, row: Row) -> list[int]:
    return [
        sum(
            line["target_tokens"]
            for line in read_journal(training_folder(config, training) / "train")
            if "total" in line
        )
        for training in row.trainings
    ]


def _stages(folder: Path) -> dict[str, StageScore]:
    values = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8")).get("stages", {})
    return {name: StageScore(**value) for name, value in values.items()}
