"""The samples job: trajectories on disk → training samples on disk, every trajectory used or dropped for a reason."""

import shutil
from collections import Counter
from collections.abc import Container
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.samples import drop_reason, reasoning, samples_of
from steper_ray.core.types import STAGES, DropReason, LoopSettings
from steper_ray.data.schemas import SAMPLES, TRAJECTORIES, read_rows, sample_row, trajectory_of
from steper_ray.drive.ledger import Key
from steper_ray.drive.writer import PartWriter
from steper_ray.runs import Manifest, write_manifest

_ROWS_PER_PART = 4096
_ONE_STEP_WARNING = 0.3


@dataclass
class SampleCounts:
    """finished = used + dropped by reason; samples by stage."""

    finished: int = 0
    used: int = 0
    one_step: int = 0
    dropped: Counter[DropReason] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)

    @property
    def one_step_share(self) -> float:
        """Share of the used trajectories that answer in their first step, and so train aggregation alone."""
        return self.one_step / self.used if self.used else 0.0

    @property
    def many_one_step(self) -> bool:
        """Whether so many trajectories have one step that initialization and expansion starve."""
        return self.one_step_share > _ONE_STEP_WARNING

    def counts(self) -> dict[str, Any]:
        """For the manifest."""
        assert self.finished == self.used + sum(self.dropped.values()), "every trajectory is used or dropped"
        return {
            "finished": self.finished,
            "used": self.used,
            "dropped": {reason.value: number for reason, number in sorted(self.dropped.items())},
            "samples": sum(self.stages.values()),
            "stages": {stage.value: self.stages[stage.value] for stage in STAGES},
        }


def write_samples(
    trajectories: Path, asked: Container[Key], samples: Path, how: LoopSettings, fingerprint: str
) -> SampleCounts:
    """Rebuild the samples folder from the finished trajectories that were asked for.

    Args:
        trajectories: folder of trajectory parts.
        asked: keys of the trajectories to use; the folder may hold more, from an earlier run without a limit.
        samples: folder to be replaced as a whole.
        how: layout and target of the samples' prompts.
        fingerprint: the generation's.
    """
    building = samples.with_name(f".{samples.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    counts = SampleCounts()
    earlier: dict[str, set[tuple[str, ...]]] = {}
    with PartWriter(building, SAMPLES, rows=_ROWS_PER_PART, seconds=float("inf")) as writer:
        for row in read_rows(trajectories, TRAJECTORIES):
            if (row["question_id"], row["path"]) not in asked:
                continue
            trajectory = trajectory_of(row)
            counts.finished += 1
            kept = earlier.setdefault(trajectory.question.id, set())
            if reason := drop_reason(trajectory, kept):
                counts.dropped[reason] += 1
                continue
            kept.add(reasoning(trajectory))
            counts.used += 1
            counts.one_step += len(trajectory.steps) == 1
            for sample in samples_of(trajectory, how):
                counts.stages[sample.stage.value] += 1
                writer.add(sample_row(sample, {name: row[name] for name in ("model", "prompt_version", "fingerprint")}))
    facts = {"loop": asdict(how), "prompt_version": PROMPT_VERSION, "one_step_share": round(counts.one_step_share, 4)}
    write_manifest(building, Manifest("samples", fingerprint, counts.counts(), facts))
    shutil.rmtree(samples, ignore_errors=True)
    building.rename(samples)
    return counts
