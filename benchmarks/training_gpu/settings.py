"""What a contender's process is told."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.training_gpu.shapes import SHAPES, Shape

UNIT_TOKENS = 2048
"""Mean tokens of a trajectory, where a pack holds two or more: four steps of four passages of about 100 words."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Shared by all contenders."""

    shape_name: str
    folder: Path
    """Of the weights, written where they are missing."""
    device: str = "cuda"
    pack_tokens: int = 8192
    packs: int = 2
    """Of one update, on each rank."""
    updates: int = 10
    """Timed."""
    warm_up: int = 3
    """Updates before the clock starts: memory pools, kernels, compilation."""
    compile: bool = False
    activation_checkpointing: bool = False
    reshard: bool = True
    lora_rank: int = 0
    """0 trains all weights."""
    seed: int = 7
    rate: float = 1e-5

    @property
    def shape(self) -> Shape:
        """The model's."""
        return SHAPES[self.shape_name]

    @property
    def units_per_pack(self) -> int:
        """Trajectories in every pack."""
        return max(2, self.pack_tokens // UNIT_TOKENS)

    def to_json(self) -> str:
        """For the command line of a contender."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """What `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "folder": Path(values["folder"])})
