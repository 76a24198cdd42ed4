"""A training as it travels to the workers: settings and places. Free of torch's and Ray's run time."""

from dataclasses import dataclass
from pathlib import Path

from steper_ray.core.loss import PRESETS
from steper_ray.core.types import STAGES, LoopSettings
from steper_ray.sections.train import TrainSection
from steper_ray.student.adapter import Adapter
from steper_ray.train.order import Order
from steper_ray.train.plan import Plan, make_plan
from steper_ray.train.store import UnitStore

WEIGHTS = "weights"
"""Folder of the exported weights in a train folder."""


@dataclass(frozen=True, slots=True)
class TrainJob:
    """All that a rank needs to know."""

    section: TrainSection
    model: Path
    folder: Path
    samples: Path
    units: Path
    """File of tokenised units."""
    seed: int
    loop: LoopSettings
    """Of the samples."""
    prompt_version: str
    context_tokens: int
    """Longest sequence the model was made for."""

    @property
    def adapter(self) -> Adapter | None:
        """LoRA's settings, or None to train all weights."""
        chosen = self.section
        return Adapter(chosen.lora_rank, chosen.lora_alpha, chosen.lora_targets) if chosen.lora_rank else None

    def plan(self, store: UnitStore) -> Plan:
        """The plan over a store's units, equal in every process."""
        section = self.section
        stages = {number for number, stage in enumerate(STAGES) if stage in PRESETS[section.preset].stages}
        return make_plan(
            store.lengths,
            store.question_ids,
            seed=self.seed,
            epochs=section.epochs,
            batch=section.batch,
            pack_tokens=section.pack_tokens,
            longest=self.context_tokens,
            held_out_share=section.held_out_share,
            limit=section.updates,
            usable=[stages.issuperset(present) for present in store.stages],
            order=Order(section.order),
            traits=store.traits,
        )
