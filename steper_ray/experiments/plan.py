"""From the configuration of an ablation to what is trained and evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steper_ray.config import Config
from steper_ray.core.types import LoopSettings
from steper_ray.experiments.configs import evaluation_config, samples_folder, training_config, training_folder
from steper_ray.experiments.member_run import MemberRun
from steper_ray.experiments.members import (
    Form,
    Member,
    Row,
    Size,
    enough_epochs,
    equal_updates,
    plan_rows,
    references_of,
    run_name,
    trainings_of,
    usual_updates,
)
from steper_ray.experiments.sizes import member_size
from steper_ray.sections.ablate import Control


@dataclass(frozen=True)
class Ablation:
    """What is compared with what."""

    rows: tuple[Row, ...]
    references: dict[Form, Member]
    """By form: whom its other members are held against."""
    sizes: dict[Member, Size]
    how: LoopSettings
    """Of the trajectories."""


def plan_ablation(config: Config, members: Sequence[Member], how: LoopSettings) -> Ablation:
    """Size the members and fix how long each is trained; the samples of each form must be there."""
    section, model = config.ablate, config.train.model
    assert model is not None
    references = references_of(members, section.reference)
    trained = [member for member in members if member.trained]
    sizes = {member: member_size(samples_folder(config, member.form), model, member) for member in trained}
    updates = {form: _updates(config, form, sizes[reference]) for form, reference in references.items()}
    budgets = budgets_of(section.controls, sizes, references, updates)
    return Ablation(tuple(plan_rows(members, budgets, section.seeds)), references, sizes, how)


def budgets_of(
    controls: Sequence[Control],
    sizes: Mapping[Member, Size],
    references: Mapping[Form, Member],
    updates: Mapping[Form, int],
) -> dict[tuple[Control, Member], int]:
    """Updates of each trained member under each control.

    Args:
        controls: what is held equal.
        sizes: what each member has to train on.
        references: by form.
        updates: of each form's reference.
    """
    return {
        (control, member): equal_updates(control, size, sizes[references[member.form]], updates[member.form])
        for control in controls
        for member, size in sizes.items()
    }


def _updates(config: Config, form: Form, reference: Size) -> int:
    """Of a form's reference."""
    section, train = config.ablate, config.train
    named = section.updates.get(form.value) if isinstance(section.updates, dict) else section.updates
    return named or train.updates or usual_updates(reference, train.batch, train.epochs, train.held_out_share)


def member_runs(config: Config, plan: Ablation, inputs: str) -> list[MemberRun]:
    """What is to be done: the untrained member of each form, then every training with its evaluations.

    Args:
        config: the ablation's.
        plan: its rows and sizes.
        inputs: digest of what all members read, see `contents`.
    """
    runs = []
    for row in plan.rows:
        if not row.trainings:
            evaluation = evaluation_config(config, row.member, None, row.system, plan.how)
            folder = evaluation.folder("evaluate")
            runs.append(MemberRun(run_name(row), folder, None, (evaluation,), inputs, keep_checkpoints=True))
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
                inputs=inputs,
                keep_checkpoints=config.ablate.keep_checkpoints,
            )
        )
    return runs


def tell_plan(config: Config, plan: Ablation) -> None:
    """Say what will be trained."""
    for row in plan.rows:
        if row.trainings:
            size, first = plan.sizes[row.member], row.trainings[0]
            print(
                f"ablate: {row.member} ({row.control}): {first.updates:,} updates, "
                f"{epochs_of(config, size, first.updates):.2f} epochs, {len(row.trainings)} seed(s), of "
                f"{size.units:,} units with {size.target_tokens:,} target tokens"
            )


def epochs_of(config: Config, size: Size, updates: float) -> float:
    """How often so many updates show each unit."""
    return updates / usual_updates(size, config.train.batch, 1, config.train.held_out_share)
