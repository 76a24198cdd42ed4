"""The configurations of an ablation's parts, made from the one that it is given: pure functions."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from steper_ray.config import Config
from steper_ray.core.types import LoopSettings, System
from steper_ray.experiments.members import Form, Member, Training
from steper_ray.sections.shared import LoopSection

SAMPLES, HELD_OUT, UNTRAINED, MEMBERS = "samples", "held_out", "untrained", "members"
"""Folders of an ablation."""


def changed(config: Config, **sections: Mapping[str, Any]) -> Config:
    """The configuration with some values of some sections replaced; what was given explicitly stays known."""
    updates = {name: getattr(config, name).model_copy(update=dict(values)) for name, values in sections.items()}
    return config.model_copy(update=updates)


def samples_folder(config: Config, form: Form, *, held_out: bool = False) -> Path:
    """Where the samples of a form lie."""
    return config.folder("ablate") / (HELD_OUT if held_out else SAMPLES) / form.value


def samples_config(config: Config, form: Form) -> Config:
    """For the samples of the training trajectories."""
    place = {"layout": form.layout, "target": form.target, "folder": samples_folder(config, form)}
    return changed(config, samples=place)


def held_out_config(config: Config, form: Form) -> Config:
    """For the samples of the held-out trajectories, all of that folder, whatever loop they were made with."""
    assert config.ablate.held_out is not None
    place = {"layout": form.layout, "target": form.target, "folder": samples_folder(config, form, held_out=True)}
    found = changed(config, samples=place, generate={"folder": config.ablate.held_out, "questions": None})
    return found.model_copy(update={"loop": LoopSection()})


def training_folder(config: Config, training: Training) -> Path:
    """Where a training and its evaluations lie."""
    return config.folder("ablate") / MEMBERS / training.name


def training_config(config: Config, training: Training, epochs: int) -> Config:
    """For one training."""
    train = {
        "samples": samples_folder(config, training.member.form),
        "folder": training_folder(config, training) / "train",
        "preset": training.member.method,
        "updates": training.updates,
        "epochs": epochs,
    }
    return changed(config, run={"seed": training.seed}, train=train)


def evaluation_folder(config: Config, member: Member, training: Training | None, system: System) -> Path:
    """Where an evaluation lies; untrained members have one per form and system."""
    if training is None:
        return config.folder("ablate") / UNTRAINED / f"{member.form}-{system}"
    return training_folder(config, training) / f"evaluate-{system}"


def evaluation_config(
    config: Config, member: Member, training: Training | None, system: System, how: LoopSettings
) -> Config:
    """For one evaluation.

    Args:
        config: the ablation's.
        member: who is evaluated.
        training: which of its trainings; None for the model as it came.
        system: how it is asked.
        how: the loop of the trajectories.
    """
    evaluate = {
        "folder": evaluation_folder(config, member, training, system),
        "system": system,
        "role": "student",
        "samples": None,
    }
    # Loss and accuracy per stage are the weights' own, so one evaluation of them has it.
    if config.ablate.held_out is not None and system is System.MULTI_STEP:
        evaluate["samples"] = samples_folder(config, member.form, held_out=True)
    found = changed(config, evaluate=evaluate, student={"model": _weights(config, training)})
    if training is not None:
        return found.model_copy(update={"loop": LoopSection()})  # the weights know theirs
    loop = {**asdict(how), "layout": member.form.layout, "target": member.form.target}
    return found.model_copy(update={"loop": LoopSection.model_validate(loop)})


def _weights(config: Config, training: Training | None) -> Path | None:
    return config.train.model if training is None else training_folder(config, training) / "train" / "weights"
