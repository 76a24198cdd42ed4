"""From checked inputs to a job: the samples' tokens are in the train folder, made there where they are not."""

from pathlib import Path
from typing import TYPE_CHECKING

from steper_ray.config import Config
from steper_ray.train.inputs import TrainInputs

if TYPE_CHECKING:
    from steper_ray.train.job import TrainJob


def prepare_job(config: Config, inputs: TrainInputs, folder: Path) -> "TrainJob":
    """The job of a training; tokenises with Ray Data unless an earlier execution has done it."""
    from steper_ray.drive.cluster import connect
    from steper_ray.train.job import TrainJob
    from steper_ray.train.tokens import tokenise, tokens_fingerprint

    key = tokens_fingerprint(inputs.fingerprint, inputs.samples, inputs.model, inputs.loop.layout)
    units = folder / "tokens" / f"{key}.arrow"
    if not units.exists():
        connect(config.ray)
        tokenise(inputs.samples, inputs.count, inputs.model, inputs.loop.layout, units)
    return TrainJob(
        section=config.train,
        model=inputs.model,
        folder=folder,
        samples=inputs.samples,
        units=units,
        seed=config.run.seed,
        loop=inputs.loop,
        prompt_version=inputs.prompt_version,
        context_tokens=inputs.context_tokens,
    )
