"""What a run of `benchmarks/chaos.py` does; crosses processes as JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

PARTS = ("generate", "engine", "train")
STEPS = 3
"""Of every recorded trajectory."""


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """Sizes and seed, the same for the calm run and the disturbed one."""

    questions: int
    """Of the replayed generation."""
    engine_questions: int
    """Of the generation by vLLM."""
    updates: int
    kill_every_s: float
    """Mean time between two kills, seconds."""
    seed: int
    disturbed: bool = False
    latency_s: float = 1.0
    """Of one replayed completion."""
    parts: tuple[str, ...] = PARTS
    """What is run; training needs the samples of `generate`."""

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ChaosPlan":
        """The plan of a command line."""
        values = json.loads(text)
        return cls(**{**values, "parts": tuple(values["parts"])})


def sized(minutes: float, kill_every_s: float, seed: int) -> ChaosPlan:
    """A plan whose disturbed run takes about so long on two cores, 2 engines of 8 questions in flight each."""
    return ChaosPlan(
        questions=max(100, round(80 * minutes)),
        engine_questions=max(16, round(10 * minutes)),
        updates=max(150, round(150 * minutes)),
        kill_every_s=kill_every_s,
        seed=seed,
    )


def common_settings(run: Path, address: str) -> list[str]:
    """Settings of every phase."""
    return [f"run.folder={run}", f"ray.address={address}", "loop.k=2", f"loop.step_limit={STEPS}"]
