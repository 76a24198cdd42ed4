"""How far a folder of trajectories is, from the sizes and times of its parts; no trajectory is read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steper_ray.data.schemas import FAILURES, TRAJECTORIES, part_files, read_rows
from steper_ray.drive.fingerprint import WORK_FILE
from steper_ray.status.phase import Progress

_LATELY_S = 600.0


@dataclass(frozen=True, slots=True)
class Part:
    """A file of rows."""

    written: float
    """Seconds since the epoch."""
    rows: int


def questions_progress(folder: Path, now: float) -> Progress:
    """The progress of generate or evaluate, as far as its files tell."""
    finished, failed = _parts(folder / "trajectories"), _parts(folder / "failures")
    work = _part(folder / WORK_FILE)
    by_kind = _failed(folder) if failed else {}
    signs = [part.written for part in [*finished, *failed, *([work] if work else [])]]
    done, total = _done(finished, failed, by_kind, work)
    return Progress(
        unit="questions",
        done=done,
        total=total,
        per_s=pace([*finished, *failed], now, work.written if work else 0.0),
        failed=by_kind,
        last_sign=max(signs, default=None),
        usual_s=usual_gap(finished),
    )


def _done(
    finished: Sequence[Part], failed: Sequence[Part], by_kind: dict[str, int], work: Part | None
) -> tuple[int, int | None]:
    """Done and total. While there is work, failures are those of this execution: it tries earlier ones again."""
    rows = sum(part.rows for part in finished)
    if work is None:
        return rows + sum(by_kind.values()), None
    before = sum(part.rows for part in finished if part.written < work.written)
    return rows + sum(part.rows for part in failed if part.written >= work.written), before + work.rows


def pace(parts: Sequence[Part], now: float, began: float) -> float | None:
    """Rows per second of late, from the second part of this execution on; None where that is too little to say."""
    late = sorted(
        (part for part in parts if part.written >= max(began, now - _LATELY_S)), key=lambda part: part.written
    )
    if len(late) < 2 or now <= late[0].written:
        return None
    return sum(part.rows for part in late[1:]) / (now - late[0].written)


def usual_gap(parts: Sequence[Part]) -> float | None:
    """Mean seconds between the last parts; None for fewer than three."""
    times = sorted(part.written for part in parts)[-20:]
    return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 2 else None


def _parts(folder: Path) -> list[Part]:
    return [part for path in part_files(folder) if (part := _part(path))]


def _part(path: Path) -> Part | None:
    try:
        return Part(path.stat().st_mtime, pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowInvalid):  # it may just have been replaced
        return None


def _failed(folder: Path) -> dict[str, int]:
    """The last attempt's kind of each key that was not finished since."""
    columns = ["question_id", "path", "attempt", "kind"]
    last: dict[tuple[str, int], tuple[int, str]] = {}
    for row in read_rows(folder / "failures", FAILURES, columns):
        key = (row["question_id"], row["path"])
        last[key] = max(last.get(key, (0, "")), (row["attempt"], row["kind"]))
    wanted = frozenset(last)
    for row in read_rows(folder / "trajectories", TRAJECTORIES, ["question_id", "path"], keys=wanted):
        last.pop((row["question_id"], row["path"]), None)
    return dict(Counter(kind for _, kind in last.values()).most_common())
