"""Ray Train's function: what runs on each of its workers. Loads nothing heavy on the driver."""

from typing import TYPE_CHECKING, Any

from steper_ray.errors import SteperError

if TYPE_CHECKING:
    from steper_ray.train.job import TrainJob
    from steper_ray.train.loop import Leaving


def train_worker(settings: dict[str, Any]) -> str:
    """Run a job on this worker. Returns why it cannot go on, or an empty string.

    What we raise on purpose would happen again after a restart; so it is returned, while crashes are left to
    Ray Train, which restarts the workers from the last checkpoint.
    """
    import ray.train.torch
    import torch

    from steper_ray.student.ranks import current_ranks
    from steper_ray.train.rank import run_job
    from steper_ray.train.telling import Telling
    from steper_ray.train.watch import Unwatched

    job: TrainJob = settings["job"]
    torch.set_num_threads(job.section.cpus_per_worker)
    ranks = current_ranks(ray.train.torch.get_device())
    try:
        run_job(job, ranks, leaving_once(), Telling(job.folder) if ranks.first else Unwatched())
    except SteperError as error:
        return str(error)
    return ""


def leaving_once() -> "Leaving":
    """Whether Ray has just been told that the node of a worker will be taken away; true once for each such notice."""
    import ray.train

    told = False

    def leaving() -> bool:
        nonlocal told
        before, told = told, ray.train.get_preemption_info() is not None
        return told and not before

    return leaving
