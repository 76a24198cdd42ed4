"""The members of an ablation, how long each is trained, and which rows of the table they give: pure functions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from steper_ray.core.types import STAGES, Layout, Stage, System, Target
from steper_ray.errors import ConfigError
from steper_ray.sections.ablate import Control

UNTRAINED = "untrained"
METHODS: Mapping[str, tuple[Stage, ...]] = {
    UNTRAINED: (),
    "vanilla_kd": (Stage.AGGREGATION,),
    "multitask": STAGES,
    "steper": STAGES,
    "paper": STAGES,
}
"""Stages that each method trains (`core.loss.PRESETS`, which needs torch)."""


class Form(StrEnum):
    """How samples show and ask for the reasoning; members of one form are fairly compared."""

    CUMULATIVE = "cumulative"
    """Layout `appended`, target `cumulative`: the paper's."""
    APPENDED = "appended"
    """Layout `appended`, target `step`."""
    TURNS = "turns"
    """Layout `turns`, target `step`."""

    @property
    def layout(self) -> Layout:
        """Of its prompts."""
        return Layout.TURNS if self is Form.TURNS else Layout.APPENDED

    @property
    def target(self) -> Target:
        """Of its samples."""
        return Target.CUMULATIVE if self is Form.CUMULATIVE else Target.STEP


@dataclass(frozen=True, slots=True)
class Member:
    """A method in a form."""

    method: str
    form: Form

    @property
    def trained(self) -> bool:
        """Whether there is anything to train."""
        return self.method != UNTRAINED

    @property
    def systems(self) -> tuple[System, ...]:
        """How it is evaluated: what knows nothing of steps, with one retrieval too."""
        one = () if METHODS[self.method] == STAGES else (System.ONE_STEP,)
        return (System.MULTI_STEP, *one)

    def __str__(self) -> str:
        """As it is written in the configuration."""
        return self.method if self.form is Form.CUMULATIVE else f"{self.method}/{self.form}"


@dataclass(frozen=True, slots=True)
class Size:
    """What a member has to train on."""

    units: int
    """Trajectories in `turns`, else samples."""
    target_tokens: int


@dataclass(frozen=True, slots=True)
class Training:
    """One member trained for so long from one seed."""

    member: Member
    updates: int
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.member.method}-{self.member.form}-{self.updates}-seed{self.seed}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a member under a control, evaluated in one way, over all seeds."""

    control: Control | None
    """None for what is not trained."""
    member: Member
    system: System
    trainings: tuple[Training, ...]
    """By seed; empty for what is not trained."""


def parse_member(text: str) -> Member:
    """A member from `METHOD` or `METHOD/FORM`.

    Raises:
        ConfigError: an unknown name, or a method that the form cannot carry.
    """
    method, slash, name = text.partition("/")
    if method not in METHODS:
        raise ConfigError(f"ablate.members: unknown method {method!r} in {text!r}; known are {', '.join(METHODS)}")
    if slash and name not in [*Form]:
        raise ConfigError(f"ablate.members: unknown form {name!r} in {text!r}; known are {', '.join(Form)}")
    form = Form(name) if slash else Form.CUMULATIVE
    if method == "vanilla_kd" and form is not Form.CUMULATIVE:
        raise ConfigError(f"ablate.members: {text} trains the whole reasoning at once, which only `cumulative` holds")
    return Member(method, form)


def references_of(members: Sequence[Member], name: str | None) -> dict[Form, Member]:
    """The member of each form that others of the form are held against; forms without a trained member have none.

    Args:
        members: of the ablation.
        name: of one, which is its form's; else it is `steper`, or the last one trained.

    Raises:
        ConfigError: it is not among the members, or none is trained.
    """
    trained = [member for member in members if member.trained]
    if not trained:
        raise ConfigError("ablate.members trains nothing; add a method, such as steper")
    wanted = None if name is None else parse_member(name)
    if wanted and wanted not in trained:
        raise ConfigError(f"ablate.reference={name} is none of the trained members: {', '.join(map(str, trained))}")
    found = {}
    for form in dict.fromkeys(member.form for member in trained):
        mine = [member for member in trained if member.form is form]
        usual = next((member for member in mine if member.method == "steper"), mine[-1])
        found[form] = wanted if wanted in mine and wanted else usual
    return found


def usual_updates(size: Size, batch: int, epochs: int, held_out_share: float) -> int:
    """Updates of so many epochs, less the questions held out."""
    return epochs * max(1, math.ceil(size.units * (1 - held_out_share) / batch))


def equal_updates(control: Control, member: Size, reference: Size, updates: int) -> int:
    """Updates of a member, so that it has as much training as the reference of its form with its own.

    Every update takes the same number of units, so equal target tokens are updates in inverse proportion to the tokens
    of a unit.

    Args:
        control: what is held equal.
        member: what it has to train on.
        reference: the same of the reference.
        updates: of the reference.
    """
    if control is Control.UPDATES:
        return updates
    tokens = updates * reference.target_tokens / reference.units
    return max(1, round(tokens * member.units / member.target_tokens))


def enough_epochs(updates: int, size: Size, batch: int, held_out_share: float) -> int:
    """Epochs that hold at least so many updates, however the split by questions falls."""
    return math.ceil(updates / usual_updates(size, batch, 1, min(0.9, held_out_share * 1.5))) + 1


def plan_rows(
    members: Sequence[Member], updates: Mapping[tuple[Control, Member], int], seeds: Sequence[int]
) -> list[Row]:
    """The rows of the table: what is not trained first, then control by control.

    Args:
        members: in the order of the table.
        updates: of each trained member under each control.
        seeds: of the trainings.
    """
    rows = [Row(None, member, system, ()) for member in members if not member.trained for system in member.systems]
    for control in dict.fromkeys(control for control, _ in updates):
        for member in members:
            if member.trained:
                trainings = tuple(Training(member, updates[control, member], seed) for seed in seeds)
                rows += [Row(control, member, system, trainings) for system in member.systems]
    return rows


def run_name(row: Row) -> str:
    """Of the run that evaluates what is not trained; trainings have their own."""
    return f"{row.member.method}-{row.member.form}-{row.system}"


def runs_of(row: Row) -> set[str]:
    """Names of the runs that a row is made of."""
    return {training.name for training in row.trainings} or {run_name(row)}


def trainings_of(rows: Sequence[Row]) -> list[Training]:
    """All trainings, each once: under both controls the reference is the same one. Seed by seed."""
    found = dict.fromkeys(training for row in rows for training in row.trainings)
    seeds = list(dict.fromkeys(training.seed for training in found))
    return sorted(found, key=lambda training: seeds.index(training.seed))
