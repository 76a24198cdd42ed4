"""Which student is evaluated or served: the weights named, those of the training, or an adapter with its base."""

from pathlib import Path

from steper_ray.config import Config
from steper_ray.core.types import LoopSettings
from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.sections.model import ModelSection
from steper_ray.student.card import loop_of, read_card
from steper_ray.student.merged import is_adapter, merged_weights

MERGED = "merged"
"""Folder below the run's, for adapters merged with their base."""


def chosen_student(config: Config) -> ModelSection:
    """The student's section with a weights folder where it needs one, paths absolute.

    Raises:
        RunFolderError: no weights are named, and the run has trained none.
        InputError: an adapter without a base, or one that does not fit it.
        EnvironmentFault: adapter and base could not be merged for want of memory.
    """
    student = config.student
    changes: dict[str, Path] = {}
    if student.recordings:
        changes["recordings"] = student.recordings.resolve()
    if student.model:
        changes["model"] = student.model.resolve()
        if student.backend == "vllm" and is_adapter(student.model):
            changes["model"] = merged_weights(changes["model"], student.base, config.run.folder.absolute() / MERGED)
    elif student.backend == "vllm":
        changes["model"] = (config.folder("train") / "weights").resolve()
        if not changes["model"].is_dir():
            raise RunFolderError(f"no weights in {changes['model']}; run `steper train` first, or set student.model")
    return student.model_copy(update=changes)


def student_loop(
    config: Config, student: ModelSection, *, forced: bool = False, remedy: str = "Leave these keys out"
) -> LoopSettings:
    """The loop to run a chosen student with: that of its training; without a record of one, the configuration's.

    Args:
        config: its `loop` section is what may differ.
        student: from `chosen_student`.
        forced: whether given settings that differ replace those of the training.
        remedy: what to do about a difference, for the message.

    Raises:
        ConfigError: a given setting differs, or a trained student is shown demonstrations.
    """
    card = read_card(student.model) if student.model else None
    if card and student.demonstrations:
        raise ConfigError("student.demonstrations is set, but a trained student sees none; leave it out")
    return loop_of(card, config.loop, forced=forced, remedy=remedy)
