"""Many questions through the loop into Parquet: what is done stays done, failures are recorded, counts add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from steper_ray.config import RaySection
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import Question
from steper_ray.data.schemas import FAILURES, QUESTIONS, TRAJECTORIES, failure_row, question_row
from steper_ray.drive.cluster import connect
from steper_ray.drive.job import Failure, LoopJob
from steper_ray.drive.ledger import Key, Ledger, check_texts, read_ledger, text_hash
from steper_ray.drive.progress import LoopProgress, LoopStats
from steper_ray.drive.writer import PartWriter, write_parquet

WORK_FILE = "work.parquet"


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
        return [(question.id, path) for path in range(self.paths) for question in questions]

    @property
    def trajectories(self) -> Path:
        """Finished trajectories."""
        return self.folder / "trajectories"

    @property
    def failures(self) -> Path:
        """Failed attempts."""
        return self.folder / "failures"


def collect(questions: Sequence[Question], job: LoopJob, into: Collection, ray: RaySection) -> LoopStats:
    """Drive all questions that are not finished yet and write what comes out.

    Raises:
        RunFolderError: a finished question has another text now.
        PhaseFailed: engines or retrievers do not start, or Ray gave up.
    """
    ledger = read_ledger(into.trajectories, into.failures)
    check_texts(ledger, questions, into.paths, into.folder)
    by_id = {question.id: question for question in questions}
    left = ledger.left(into.keys(questions), retry_permanent=into.retry_permanent)
    stats = LoopStats()
    if not left:
        return stats
    work = into.folder.absolute() / WORK_FILE
    write_parquet(work, pa.Table.from_pylist([question_row(by_id[name], path) for name, path in left], QUESTIONS))
    connect(ray)
    _run(work, len(left), by_id, job, into, ledger, stats)
    work.unlink()
    return stats


def counts(questions: Sequence[Question], into: Collection) -> dict[str, Any]:
    """How many (question, path) are finished, failed by kind, and not started; adds up to `asked`."""
    ledger = read_ledger(into.trajectories, into.failures)
    keys = into.keys(questions)
    failed: dict[str, int] = {}
    for key in keys:
        if key in ledger.failed:
            kind = ledger.failed[key][0].value
            failed[kind] = failed.get(kind, 0) + 1
    finished = sum(key in ledger.finished for key in keys)
    not_started = len(keys) - finished - sum(failed.values())
    return {
        "questions": len(questions),
        "paths": into.paths,
        "asked": len(keys),
        "finished": finished,
        "failed": failed,
        "not_started": not_started,
    }


def _run(
    work: Path,
    total: int,
    by_id: dict[str, Question],
    job: LoopJob,
    into: Collection,
    ledger: Ledger,
    stats: LoopStats,
) -> None:
    from steper_ray.drive.pipeline import run_work

    provenance = {"model": into.model_name, "prompt_version": PROMPT_VERSION, "fingerprint": into.fingerprint}
    rows, seconds = into.flush_rows, into.flush_s
    with (
        PartWriter(into.trajectories, TRAJECTORIES, rows=rows, seconds=seconds) as trajectories,
        PartWriter(into.failures, FAILURES, rows=rows, seconds=seconds) as failures,
        LoopProgress(into.title, total, stats) as progress,
    ):
        for result in run_work(work, job):
            if isinstance(result, Failure):
                stats.failed[result.kind] += 1
                failures.add(_failure_row(result, by_id[result.question_id], ledger))
            else:
                stats.add(result)
                trajectories.add({**result, **provenance, "text_hash": text_hash(by_id[result["question_id"]])})
            progress.advance()


def _failure_row(failure: Failure, question: Question, ledger: Ledger) -> dict[str, Any]:
    attempt = ledger.attempt((failure.question_id, failure.path))
    return failure_row(failure.question_id, failure.path, text_hash(question), attempt, failure.kind, failure.message)
