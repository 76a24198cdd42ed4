"""From questions to training samples: how many are left after each phase, and why the others are not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steper_ray.report.record import RunRecord


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the funnel; `left` and the losses add up to the level before, where the noun is the same."""

    name: str
    left: int
    losses: Mapping[str, int] = field(default_factory=dict)
    """What is not among `left`, by reason."""

    @property
    def all(self) -> int:
        """With the losses."""
        return self.left + sum(self.losses.values())


def funnel(run: RunRecord) -> list[Level]:
    """The levels of a run; those of phases that have not run are left out."""
    levels = []
    made, chosen, trained = run.generation, run.samples, run.training
    if made:
        failed = {f"failed: {kind}": number for kind, number in made.get("failed", {}).items()}
        levels.append(Level("questions × paths asked", int(made["asked"])))
        losses = _present({**failed, "not started": made.get("not_started", 0)})
        levels.append(Level("trajectories finished", int(made["finished"]), losses))
    if chosen:
        losses = _present({f"dropped: {reason}": number for reason, number in chosen.get("dropped", {}).items()})
        levels.append(Level("trajectories used", int(chosen["used"]), losses))
        levels.append(Level("samples made", int(chosen["samples"])))
    if trained:
        names = {
            "held_out": "held out",
            "dropped_too_long": "dropped: too_long",
            "not_reached": "not reached: fewer updates than an epoch",
            "not_in_preset": "not in the loss preset",
        }
        losses = _present({told: trained.get(name, 0) for name, told in names.items()})
        levels.append(Level("samples trained", int(trained["trained"]), losses))
    return levels


def _present(losses: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(number) for name, number in losses.items() if number}
