"""The pipeline that generate and evaluate share: Ray Data streams work through engines and yields what comes out."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from steper_ray.core.types import FailureKind
from steper_ray.drive.job import Failure, LoopJob
from steper_ray.drive.retrieval import start_retrievers
from steper_ray.drive.worker import LoopWorker
from steper_ray.errors import BackendError, PhaseFailed

_QUIET = ("ray.data", "ray.train", "ray.serve")


def run_work(work: Path, job: LoopJob) -> Iterator[dict[str, Any] | Failure]:
    """Drive every row of a Parquet file of work, yielding results as they finish, in no order.

    Args:
        work: a file of `data.schemas.QUESTIONS`.
        job: the loop and who answers.

    Yields:
        A row of `data.schemas.TRAJECTORIES` less its provenance, or a Failure.

    Raises:
        PhaseFailed: the engines or retrievers do not start, or Ray gave up.
    """
    quieten()
    try:
        retrievers = start_retrievers(job.index, job.retrievers)
    except BackendError as error:
        raise PhaseFailed(str(error)) from error
    try:
        for row in _dataset(work, job, retrievers).iter_rows():
            result = json.loads(row["result"])
            if "trajectory" in result:
                yield result["trajectory"]
            else:
                failure = result["failure"]
                yield Failure(**{**failure, "kind": FailureKind(failure["kind"])})
    except ray.exceptions.RayError as error:
        raise PhaseFailed(f"Ray gave up: {_cause(error)}; run the same command again to continue") from error
    finally:
        for actor in retrievers:
            ray.kill(actor)


def _dataset(work: Path, job: LoopJob, retrievers: list[Any]) -> ray.data.Dataset:
    # One row per block: results leave per block, and a slow question would hold its block-mates.
    questions = ray.data.read_parquet(str(work)).repartition(target_num_rows_per_block=1)
    worker: Any = LoopWorker  # Ray's annotation leaves out classes whose calls are coroutines
    return questions.map(
        worker,
        fn_constructor_args=(job, retrievers),
        compute=ActorPoolStrategy(
            size=job.actors,
            max_tasks_in_flight_per_actor=2 * job.in_flight,
            max_concurrent_calls_per_actor=job.in_flight,
        ),
        num_cpus=1,
        num_gpus=_gpus(job),
    )


def _gpus(job: LoopJob) -> int:
    """GPUs of one engine; none for roles without an engine, and none on a cluster without GPUs."""
    needed = job.model.backend == "vllm" and ray.cluster_resources().get("GPU", 0) > 0
    return job.model.tensor_parallel_size if needed else 0


def quieten() -> None:
    """Leave the terminal to our own progress lines."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
