"""From the configuration of an ablation to what is trained and evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass

from steper_ray.config import Config
from steper_ray.core.types import LoopSettings
from steper_ray.experiments.configs import evaluation_config, samples_folder, training_config, training_folder
from steper_ray.experiments.member_run import MemberRun
from steper_ray.experiments.members import (
    Member,
    Row,
    Size,
    enough_epochs,
    equal_updates,
    plan_rows,
    reference_of,
    trainings_of,
    usual_updates,
)
from steper_ray.experiments.sizes import member_size


@dataclass(frozen=True)
class Ablation:
    """What is compared with what."""

    rows: tuple[Row, ...]
    reference: Member
    sizes: dict[Member, Size]
    how: LoopSettings
    """Of the trajectories."""


def plan_ablation(config: Config, members: Sequence[Member], how: LoopSettings) -> Ablation:
    """Size the members and fix how long each is trained; the samples of each form must be there."""
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
