"""The section of the ablation."""

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from steper_ray.sections.base import Positive, Section


class Control(StrEnum):
    """What trained members have in common."""

    UPDATES = "updates"
    """The number of updates."""
    TARGET_TOKENS = "target_tokens"
    """The number of tokens that the loss is taken over; the number of updates follows."""


FormName = Literal["cumulative", "appended", "turns"]
"""Forms of `experiments.members`."""


class AblateSection(Section):
    """Methods side by side: the same trajectories, as much training, the same questions."""

    members: tuple[str, ...] = Field(default=("untrained", "vanilla_kd", "multitask", "steper"), min_length=1)
    """`METHOD` or `METHOD/FORM`: untrained or a loss preset; `cumulative` (the paper's), `appended` or `turns`."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Seeds of the trainings; three or more show how far the seed moves a score."""
    controls: tuple[Control, ...] = Field(default=(Control.UPDATES, Control.TARGET_TOKENS), min_length=1)
    """What is held equal; each is a part of the table."""
    updates: Positive | dict[FormName, Positive] | None = None
    """Updates of each form's reference, or `{cumulative: 100, turns: 50}`, since units of `turns` are whole
    trajectories; empty: `train.updates`, or what `train.epochs` come to."""
    reference: str | None = None
    """The member that others of its form are held against; empty, and in other forms: steper, or the last trained."""
    held_out: Path | None = None
    """Folder of a generation over held-out questions: loss and token accuracy per stage; empty leaves these out."""
    folder: Path | None = None
    """Where members and table are written; empty: `<run.folder>/ablate`."""
    parallel: Positive | None = None
    """Members trained at a time; empty: as many as the cluster's GPUs take, one on a machine without."""
    keep_checkpoints: bool = False
    """Keep the checkpoints of members that are finished; each is 12 bytes per parameter."""

    @model_validator(mode="after")
    def _names_once(self) -> "AblateSection":
        for name, values in (("members", self.members), ("seeds", self.seeds), ("controls", self.controls)):
            if len({*map(str, values)}) < len(values):
                raise ValueError(f"ablate.{name} names something twice: {', '.join(map(str, values))}")
        return self
