"""What a run of the loop writes into its log: its beginning and end, failures of questions, engines that died."""

from collections import Counter
from pathlib import Path
from types import TracebackType

from steper_ray.core.types import Failure, FailureKind
from steper_ray.drive.stats import LoopStats
from steper_ray.telemetry.log import Level, open_log

MOST_FAILURES = 1000
"""Lines per kind of failure: the rest stands in the folder of failures anyway."""


class LoopLog:
    """Written by the driver alone; a context manager around the work."""

    def __init__(self, folder: Path, phase: str, stats: LoopStats) -> None:
        self._log, self._stats = open_log(folder, phase), stats
        self._restarts: dict[int, int] = {}
        self._failed: Counter[FailureKind] = Counter()

    def __enter__(self) -> "LoopLog":
        self._log.tell("phase_started", asked=self._stats.asked, left=self._stats.left)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stats = self._stats
        failed = {kind.value: count for kind, count in stats.failed.items()}
        self._log.ended(error, finished=stats.finished, failed=failed, seconds=round(stats.seconds, 1))

    def failed(self, failure: Failure, attempt: int) -> None:
        """A question could not be finished, for the so-manieth time."""
        self._failed[failure.kind] += 1
        if self._failed[failure.kind] > MOST_FAILURES:
            return
        facts = {"question_id": failure.question_id, "path": failure.path, "attempt": attempt}
        self._log.tell("question_failed", Level.WARNING, **facts, kind=failure.kind.value, message=failure.message)
        if self._failed[failure.kind] == MOST_FAILURES:
            self._log.tell("failures_no_longer_told", kind=failure.kind.value)

    def worked(self, engine: int, restarts: int) -> None:
        """An engine handed over work; it had died so often before."""
        known = self._restarts.get(engine)
        self._restarts[engine] = restarts
        if known is None:
            self._log.tell("engine_works", engine=engine)
        if restarts > (known or 0):
            self._log.tell("engine_restarted", Level.WARNING, engine=engine, restarts=restarts)
