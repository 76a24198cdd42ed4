"""The pipeline that generate and evaluate share: Ray Data streams leases of work through engines."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.data.exceptions import ExecutionTimeoutError

from steper_ray.drive.cluster import engine_gpus
from steper_ray.drive.foreman import QUEUED_LEASES, start_foreman
from steper_ray.drive.intake import Intake, early_results
from steper_ray.drive.job import LoopJob
from steper_ray.drive.load import Load
from steper_ray.drive.placement import RETRIEVER_CPUS, SHARE, Ask, even_calls, resources
from steper_ray.drive.retrieval import RetrieverHandle, start_retrievers
from steper_ray.drive.worker import LoopWorker
from steper_ray.errors import BackendError, PhaseFailed

_QUIET = ("ray.data", "ray.train", "ray.serve")
_FOREMAN_S = 30.0
_CONTINUE = "What is finished is kept; the same command continues"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that an engine handed over; its results went to the intake."""

    load: Load
    engine: int = 0
    """Number of the engine in this run, from 0."""
    restarts: int = 0
    """How often that engine had died before."""


def run_work(work: Path, job: LoopJob, intake: Intake) -> Iterator[Lease]:
    """Drive a file of work, yielding leases as they are finished, in no order.

    Args:
        work: Parquet with rows of `data.schemas.QUESTIONS`; each row group is one lease.
        job: the loop and who answers.
        intake: gets every result, most of them before their lease is finished, from another thread.

    Raises:
        PhaseFailed: the engines or retrievers do not start, one died again and again, nothing was finished for
            `job.patience_s`, or Ray gave up.
    """
    quieten()
    context = DataContext.get_current()
    context.execution_no_progress_timeout_s = job.patience_s
    # Full engines with work left are reason enough for one more; Ray's default waits for twice the open leases.
    context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
    try:
        retrievers = _retrievers(job)
    except BackendError as error:
        raise PhaseFailed(f"the retrievers did not start: {_cause(error)}") from error
    foreman = start_foreman(pq.read_metadata(work).num_row_groups)
    try:
        with early_results(foreman, intake):
            leases: Any = _dataset(work, job, retrievers, foreman)  # Ray's annotation forgets Arrow
            # Prefetching keeps a lease back until the next one comes.
            for batch in leases.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for row in batch.to_pylist():
                    yield _lease(row, intake)
    except ray.exceptions.RayError as error:
        reason = _why_stopped(foreman) or _our_words(error) or f"Ray gave up: {_cause(error)}"
        raise PhaseFailed(f"{reason}. {_CONTINUE}") from error
    except ExecutionTimeoutError as error:
        raise PhaseFailed(
            f"nothing was finished for {job.patience_s / 60:.0f} minutes. Perhaps no node has room for an engine, "
            f"which asks for 1 CPU and {engine_gpus(job.model):g} GPUs. {_CONTINUE}"
        ) from error
    finally:
        for actor in [foreman, *(handle.actor for handle in retrievers)]:
            ray.kill(actor)


def _retrievers(job: LoopJob) -> list[RetrieverHandle]:
    if not job.searches:
        return []
    return start_retrievers(job.index, job.retrievers, job.retriever.resource, job.index_source)


def asks_of(job: LoopJob) -> list[Ask]:
    """What must find room before the loop can begin: all retrievers, and the first engine."""
    engine = Ask("engines", 1, resources(1, engine_gpus(job.model), job.model.resource))
    if not job.searches:
        return [engine]
    return [engine, Ask("retrievers", job.retrievers, resources(RETRIEVER_CPUS, 0, job.retriever.resource))]


def _why_stopped(foreman: Any) -> str:
    """The foreman's reason to give up; nothing where there is none, or where the foreman was lost with the cluster."""
    try:
        return str(ray.get(foreman.why_stopped.remote(), timeout=_FOREMAN_S))
    except ray.exceptions.RayError:
        return ""


def _lease(row: dict[str, str], intake: Intake) -> Lease:
    facts = json.loads(row["lease"])
    intake.lease(facts["number"], list(zip(facts["rows"], row["results"].splitlines(), strict=True)))
    return Lease(load=Load(**facts["load"]), engine=facts["engine"], restarts=facts["restarts"])


def _dataset(work: Path, job: LoopJob, retrievers: list[RetrieverHandle], foreman: Any) -> ray.data.Dataset:
    metadata = pq.read_metadata(work)
    leases = metadata.num_row_groups
    worker: Any = LoopWorker  # Ray's annotation leaves out classes whose calls are coroutines
    gpus = engine_gpus(job.model)
    open_leases = even_calls(job.open_leases(metadata.row_group(0).num_rows), resources(1, gpus))
    # One lease number per block: results leave per block, and a slow lease would hold its block-mates.
    return ray.data.range(leases, override_num_blocks=leases).map(
        worker,
        fn_constructor_args=(job, work, retrievers, foreman),
        compute=ActorPoolStrategy(
            min_size=job.actors,
            max_size=job.actors_max,
            max_tasks_in_flight_per_actor=open_leases + QUEUED_LEASES,
            max_concurrent_calls_per_actor=open_leases,
        ),
        num_cpus=1,
        num_gpus=gpus,
        resources={job.model.resource: SHARE} if job.model.resource else {},
    )


def quieten() -> None:
    """Leave the terminal to our own progress lines."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _cause(error: BaseException) -> str:
    """Our own error where there is one among Ray's words, else the last of these."""
    return _our_words(error) or (_lines(error) or [type(error).__name__])[-1]


def _our_words(error: BaseException) -> str:
    """The last error of ours among Ray's words, if any."""
    ours = [line.partition(": ")[2] for line in _lines(error) if line.startswith("steper_ray.errors.")]
    return ours[-1] if ours else ""


def _lines(error: BaseException) -> list[str]:
    words = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        words.append(str(error))
    return [line.strip() for text in words for line in text.splitlines() if line.strip()]
