"""Ray Train's function: what runs on each of its workers. Loads nothing heavy on the driver."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steper_ray.errors import SteperError

if TYPE_CHECKING:
    from steper_ray.train.job import TrainJob
    from steper_ray.train.loop import SaveCheckpoint
    from steper_ray.train.state import TrainState


def train_worker(settings: dict[str, Any]) -> str:
    """Run a job on this worker. Returns why it cannot go on, or an empty string.

    What we raise on purpose would happen again after a restart; so it is returned, while crashes are left to
    Ray Train, which restarts the workers from the last checkpoint.
    """
    import ray.train.torch
    import torch

    from steper_ray.student.ranks import current_ranks
    from steper_ray.train.rank import run_job

    job: TrainJob = settings["job"]
    torch.set_num_threads(job.section.cpus_per_worker)
    try:
        run_job(job, current_ranks(ray.train.torch.get_device()), report_checkpoint(job))
    except SteperError as error:
        return str(error)
    return ""


def report_checkpoint(job: "TrainJob") -> "SaveCheckpoint":
    """Saves straight to a checkpoint's place; Ray Train registers it and removes the oldest."""
    import ray.train

    from steper_ray.train.checkpoint import latest_checkpoint, save_checkpoint

    latest, known = latest_checkpoint(job.folder), ray.train.get_checkpoint()
    if latest and (known is None or Path(known.path).name != latest.name):
        register(latest)  # saved right before a worker died: Ray does not know of it

    def save(state: "TrainState") -> None:
        register(save_checkpoint(job.folder, state))

    return save


def register(place: Path) -> None:
    """Tell Ray Train of a checkpoint; every rank must call it."""
    import ray.train
    from ray.train import Checkpoint, CheckpointUploadMode

    ray.train.report(
        {},
        checkpoint=Checkpoint.from_directory(place),
        checkpoint_dir_name=place.name,
        checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD,
    )
