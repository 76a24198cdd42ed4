"""What a contender's process is told, and what it tells back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """Settings of the service and of those who ask."""

    workload: Path
    model: Path
    clients: Sequence[int]
    """Numbers of clients that ask at once, one after the other."""
    per_client: int = 3
    """Most questions that each client asks; all of them together ask at most the whole workload."""
    batch: int = 32
    kv_gib: float = 4.0
    threads: int = 2
    seed: int = 7
    k: int = 4
    naive_questions: int = 8
    scripted_seconds: float = 8.0
    """How long each number of clients asks the scripted service."""
    soak_seconds: float = 600.0

    def to_json(self) -> str:
        """For the command line of a contender."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "ServingPlan":
        """What `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        places = {name: Path(values.pop(name)) for name in ("workload", "model")}
        return cls(**values, **places)


def report(started: float, ended: float, figures: Mapping[str, float]) -> dict[str, Any]:
    """What a contender writes: times of `time.time()` and figures."""
    return {"started": started, "ended": ended, "figures": dict(figures)}
