"""What became of the finished trajectories: counts that add up, and what is worth a warning."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steper_ray.core.types import STAGES, DropReason, Stage

_ONE_STEP_WARNING = 0.3
_RARE_STAGE_WARNING = 0.1


@dataclass
class SampleCounts:
    """finished = used + dropped by reason; samples by stage."""

    finished: int = 0
    used: int = 0
    questions: int = 0
    """With at least one used trajectory."""
    one_step: int = 0
    teachers: set[str] = field(default_factory=set)
    dropped: Counter[DropReason] = field(default_factory=Counter)
    stages: Counter[Stage] = field(default_factory=Counter)

    @property
    def samples(self) -> int:
        """All samples."""
        return sum(self.stages.values())

    @property
    def one_step_share(self) -> float:
        """Share of the used trajectories that answer in their first step, and so train aggregation alone."""
        return self.one_step / self.used if self.used else 0.0

    def counts(self) -> dict[str, Any]:
        """For the manifest."""
        assert self.finished == self.used + sum(self.dropped.values()), "every trajectory is used or dropped"
        return {
            "finished": self.finished,
            "used": self.used,
            "dropped": {reason.value: number for reason, number in sorted(self.dropped.items())},
            "questions_used": self.questions,
            "samples": self.samples,
            "stages": {stage.value: self.stages[stage] for stage in STAGES},
        }

    def shares(self) -> Mapping[str, float]:
        """Share of the samples by stage; empty without samples."""
        return {stage.value: round(self.stages[stage] / self.samples, 4) for stage in STAGES} if self.samples else {}

    def warnings(self) -> list[str]:
        """Sentences on stages that will hardly be trained."""
        told = []
        if self.one_step_share > _ONE_STEP_WARNING:
            told.append(
                f"{self.one_step_share:.0%} of the trajectories answer in one step; initialization and expansion will "
                "hardly be trained (demonstrations or samples.max_stage_share help)"
            )
        told += [
            f"only {share:.1%} of the samples are {stage}" if share else f"no sample is {stage}"
            for stage, share in self.shares().items()
            if share < _RARE_STAGE_WARNING
        ]
        return told
