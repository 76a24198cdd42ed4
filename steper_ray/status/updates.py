"""How far a training is, from its journal, its plan and its checkpoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from steper_ray.status.folders import read_json
from steper_ray.status.health import course
from steper_ray.status.phase import Progress
from steper_ray.train.checkpoint_folders import PLAN_FILE, all_checkpoints, torn_checkpoints
from steper_ray.train.journal import METRICS_FILE, read_journal, seconds_of, updates_of

_LATELY = 50


def updates_progress(folder: Path, workers: int | None, ended: int | None) -> Progress:
    """The progress of a train folder.

    Args:
        folder: with journal, plan and checkpoints.
        workers: how many there should be.
        ended: the last update of a training that has come to its end.
    """
    try:
        lines = read_journal(folder)
    except ValueError:
        return Progress("updates", findings=(f"{folder / METRICS_FILE} cannot be read",))
    updates = updates_of(lines)
    seconds = seconds_per_update(updates)
    journal = folder / METRICS_FILE
    whole = all_checkpoints(folder)
    torn = torn_checkpoints(folder) if ended is None else {}
    notes = [f"checkpoint after update {int(whole[-1].name[-8:])}"] if whole else []
    return Progress(
        unit="updates",
        done=updates[-1]["update"] if updates else 0,
        total=read_json(folder / PLAN_FILE).get("updates") if ended is None else ended,
        per_s=1 / seconds if seconds else None,
        last_sign=journal.stat().st_mtime if journal.exists() else None,
        usual_s=seconds,
        notes=(*notes, *([f"loss {updates[-1]['total']:.3f}"] if updates else [])),
        findings=(*course(lines, workers), *(f"{place.name} is torn: {fault}" for place, fault in torn.items())),
    )


def seconds_per_update(updates: Sequence[Mapping[str, Any]]) -> float | None:
    """The median over the last updates."""
    times = seconds_of(updates[-_LATELY:])
    return median(times) if times else None
