"""Which held-out evaluation was the best so far: what early stopping and the best checkpoint go by."""

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Selection:
    """The lowest held-out selection loss (`student.metrics.selection_loss`) of a training."""

    loss: float = math.inf
    update: int | None = None
    """After which update it was seen; None before the first evaluation."""
    since: int = 0
    """Evaluations after it."""

    def note(self, loss: float, update: int) -> bool:
        """Take in an evaluation; whether it is the best so far. Nan never is."""
        if loss < self.loss:
            self.loss, self.update, self.since = loss, update, 0
            return True
        self.since += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self.loss, self.update, self.since = state["loss"], state["update"], state["since"]
