"""Loss and token accuracy of each stage on held-out samples, computed in a process that ends afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import LoopSettings, Sample
from steper_ray.data.schemas import SAMPLES, part_files, read_rows, sample_of
from steper_ray.errors import ConfigError, InputError, PhaseFailed, SteperError
from steper_ray.evaluate.scores import StageScore
from steper_ray.runs import read_manifest
from steper_ray.sections.shared import RaySection


@dataclass(frozen=True, slots=True)
class StageJob:
    """What the process needs to know."""

    samples: Path
    model: Path
    how: LoopSettings
    dtype: str
    pack_tokens: int
    """Most tokens of one pass; a longer unit is a pass by itself."""
    threads: int
    """Threads on CPU."""


def check_samples(folder: Path, how: LoopSettings) -> None:
    """Refuse samples that were made for another student, before anything starts.

    Raises:
        RunFolderError: not a finished samples folder.
        InputError: it holds no sample.
        ConfigError: other prompts than those of the student's loop.
    """
    facts = read_manifest(folder, "samples", command="steper generate").facts
    if not part_files(folder):
        raise InputError("holds no sample", file=folder)
    made: dict[str, Any] = {**facts.get("loop", {}), "prompt_version": facts.get("prompt_version")}
    wanted: dict[str, Any] = {
        "layout": how.layout,
        "target": how.target,
        "strategy": how.strategy,
        "prompt_version": PROMPT_VERSION,
    }
    for name, value in wanted.items():
        if made.get(name) != value:
            raise ConfigError(
                f"evaluate.samples: {folder} was made with {name} {made.get(name)}, the student has {value}; "
                "make the held-out samples with the student's settings"
            )


def score_stages(job: StageJob, ray_section: RaySection) -> dict[str, StageScore]:
    """Score the stages that occur in the samples, on a GPU of the cluster where it has one.

    Raises:
        PhaseFailed: the process died or the model could not be run.
        ConfigError: the student's chat template does not fit the samples.
    """
    from steper_ray.drive.cluster import connect

    connect(ray_section)
    import ray

    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    # One call per process: its memory, the GPU's too, is free when it returns.
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_calls=1)(_score)
    try:
        scores: dict[str, StageScore] = ray.get(task.remote(job))
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, SteperError):
            raise cause from None
        raise PhaseFailed(f"the stages could not be scored: {error}") from error
    return scores


def _score(job: StageJob) -> dict[str, StageScore]:
    import torch

    from steper_ray.core.chat import load_chat_format
    from steper_ray.core.types import Layout
    from steper_ray.student.metrics import stage_metrics
    from steper_ray.student.model import load_whole
    from steper_ray.student.ranks import Ranks
    from steper_ray.student.units import appended_units, turns_units

    torch.set_num_threads(job.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chat = load_chat_format(job.model)
    build = turns_units if job.how.layout is Layout.TURNS else appended_units
    units = [unit for samples in _trajectories(job.samples) for unit in build(samples, chat)]
    model = load_whole(job.model, device, getattr(torch, job.dtype))
    longest = max(len(unit) for unit in units)
    metrics = stage_metrics(model, units, max(job.pack_tokens, longest), ranks=Ranks(device=device))
    return {stage.value: StageScore(metric.loss, metric.accuracy, metric.tokens) for stage, metric in metrics.items()}


def _trajectories(folder: Path) -> Iterator[list[Sample]]:
    """The samples of each trajectory; they stand one behind the other."""
    samples = map(sample_of, read_rows(folder, SAMPLES))
    for _, group in groupby(samples, key=lambda sample: (sample.question_id, sample.path)):
        yield list(group)
