"""Many questions through the loop into Parquet: what is done stays done, failures are recorded, counts add up."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import Failure, FailureKind, Question
from steper_ray.data.schemas import FAILURES, QUESTIONS, TRAJECTORIES, failure_row, question_row
from steper_ray.drive.cluster import connect
from steper_ray.drive.fingerprint import WORK_FILE
from steper_ray.drive.intake import Intake
from steper_ray.drive.job import LoopJob
from steper_ray.drive.ledger import Key, Ledger, check_texts, read_ledger
from steper_ray.drive.log import LoopLog
from steper_ray.drive.placement import await_room
from steper_ray.drive.progress import LoopProgress
from steper_ray.drive.stats import LoopStats
from steper_ray.drive.writer import PartWriter, write_parquet
from steper_ray.errors import PhaseFailed
from steper_ray.sections.shared import RaySection
from steper_ray.telemetry.origin import Origin


@dataclass(frozen=True, slots=True)
class Collection:
    """Where a run of the loop writes, and how."""

    folder: Path
    title: str
    """Name on the progress line."""
    model_name: str
    fingerprint: str
    paths: int
    flush_rows: int
    flush_s: float
    retry_permanent: bool

    def keys(self, questions: Sequence[Question]) -> list[Key]:
        """What is asked for: every question once per path."""
        return [(question.id, path) for question in questions for path in range(self.paths)]

    @property
    def trajectories(self) -> Path:
        """Finished trajectories."""
        return self.folder / "trajectories"

    @property
    def failures(self) -> Path:
        """Failed attempts."""
        return self.folder / "failures"


def collect(
    questions: Sequence[Question],
    job: LoopJob,
    into: Collection,
    ray: RaySection,
    *,
    accepted: Callable[[], object] = lambda: None,
) -> LoopStats:
    """Drive all questions that are not finished yet and write what comes out; the caller holds the folder's lock.

    `accepted` is called before anything is written, once the folder takes these questions: a command that it refuses
    must not leave its settings there.

    Raises:
        RunFolderError: a finished question has another text now.
        PhaseFailed: engines or retrievers do not start, one died again and again, or the disk is full.
    """
    ledger = read_ledger(into.trajectories, into.failures)
    check_texts(ledger, questions, into.paths, into.folder)
    accepted()
    left = ledger.left(questions, into.paths, retry_permanent=into.retry_permanent)
    stats = LoopStats(asked=len(questions) * into.paths, left=len(left), quicker_search=job.quicker_search)
    if left:
        from steper_ray.drive.pipeline import asks_of

        with LoopLog(into.folder, into.title, stats) as log, _work_file(left, job, into) as work:
            connect(ray)
            await_room(asks_of(job), ray)
            job = replace(job, origin=Origin.of(into.folder, into.title), attempts=ledger.attempts)
            _run(work, job, into, ledger, stats, log)
    return stats


def counts(questions: Sequence[Question], into: Collection) -> dict[str, Any]:
    """How many (question, path) are finished, failed by kind, and not started; adds up to `asked`."""
    ledger = read_ledger(into.trajectories, into.failures)
    ids = [question.id for question in questions]
    finished = sum(int(ledger.finished(ids, path).sum()) for path in range(into.paths))
    asked = {*ids}
    failed: dict[str, int] = {}
    for (name, path), last in ledger.failed.items():
        if name in asked and path < into.paths:
            failed[last.kind.value] = failed.get(last.kind.value, 0) + 1
    keys = len(ids) * into.paths
    return {
        "questions": len(ids),
        "paths": into.paths,
        "asked": keys,
        "finished": finished,
        "failed": failed,
        "not_started": keys - finished - sum(failed.values()),
    }


@contextmanager
def _work_file(left: Sequence[tuple[Question, int]], job: LoopJob, into: Collection) -> Iterator[Path]:
    """What is left to do, one row group per lease; kept after an error, where it harms nobody."""
    work = into.folder.absolute() / WORK_FILE
    rows = [question_row(question, path) for question, path in left]
    try:
        write_parquet(work, pa.Table.from_pylist(rows, QUESTIONS), row_group_rows=job.lease_rows(len(left)))
    except OSError as error:
        raise PhaseFailed(f"cannot write {work}: {error.strerror or error}. Make room or mend the folder") from error
    yield work
    work.unlink()


def _run(work: Path, job: LoopJob, into: Collection, ledger: Ledger, stats: LoopStats, log: LoopLog) -> None:
    from steper_ray.drive.pipeline import run_work

    provenance = {"model": into.model_name, "prompt_version": PROMPT_VERSION, "fingerprint": into.fingerprint}
    rows, seconds = into.flush_rows, into.flush_s
    with (
        PartWriter(into.trajectories, TRAJECTORIES, rows=rows, seconds=seconds) as trajectories,
        PartWriter(into.failures, FAILURES, rows=rows, seconds=seconds) as failures,
        LoopProgress(into.title, stats) as progress,
    ):

        def take(result: dict[str, Any]) -> None:
            if row := result.get("trajectory"):
                stats.add(row, result["waited_s"], result["took_s"])
                trajectories.add({**row, **provenance})
            else:
                failure = Failure(**{**result["failure"], "kind": FailureKind(result["failure"]["kind"])})
                stats.fail(failure.kind)
                attempt = ledger.attempt((failure.question_id, failure.path))
                failures.add(failure_row(failure, attempt))
                log.failed(failure, attempt)
            progress.show()

        for lease in run_work(work, job, Intake(take)):
            log.worked(lease.engine, lease.restarts)
            stats.worked(lease.load)
        trajectories.flush()
        stats.writing_s = trajectories.writing_s
        if trajectories.first_part is not None:
            stats.first_written_s = trajectories.first_part - stats.started
