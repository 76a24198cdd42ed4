"""What a contender's process is told, and what it tells back."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings that all contenders share."""

    workload: Path
    """File of `workload.build_workload`."""
    model: Path
    part: str = "speed"
    """Of the workload: `speed` or `memory`."""
    pack_tokens: int = 2048
    """Most tokens of one of our micro-batches."""
    rows: int = 4
    """Rows of one padded micro-batch: about as many tokens as a pack."""
    rate: float = 5e-6
    """Learning rate, the same in every update."""
    clip: float = 1.0
    threads: int = 2
    """Over all processes of a contender."""

    def to_json(self) -> str:
        """For the command line of a contender."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """What `to_json` wrote."""
        values = json.loads(text)
        places = {name: Path(values.pop(name)) for name in ("workload", "model")}
        return cls(**values, **places)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a contender did. Times are those of `time.time()`; tokens are counted over all updates."""

    started: float
    """The first update, which is not timed, was done."""
    ended: float
    """The last update was done."""
    updates: int
    """Between the two."""
    tokens: int
    """Without padding."""
    computed_tokens: int
    """With padding."""
    target_tokens: int
    loss: float
    """Mean over the updates of the mean cross entropy of their target tokens, nats."""
    rest_mib: float
    """In use after the first update, freed memory given back: model and optimizer."""
    peak_mib: float
    """Most in use from then on."""

    def to_json(self) -> str:
        """For the file of results."""
        return json.dumps(asdict(self))
