"""What is written stays readable, and what is done is not done again."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.core.types import FailureKind, Question, Step, StopReason, Trajectory
from steper_ray.data.schemas import (
    FAILURES,
    TRAJECTORIES,
    failure_row,
    part_files,
    read_rows,
    trajectory_of,
    trajectory_row,
)
from steper_ray.drive.ledger import check_texts, read_ledger, text_hash
from steper_ray.drive.writer import PartWriter
from steper_ray.errors import InputError, RunFolderError

QUESTION = Question("q1", "Who?", ("Hee Haw",))
FINISHED = Trajectory(
    QUESTION, 0, (Step("Who?", (), (), "So the answer is: hee haw."),), "hee haw", StopReason.ANSWERED
)
PROVENANCE = {"model": "m", "prompt_version": "1", "fingerprint": "f", "text_hash": text_hash(QUESTION)}


def write_finished(folder: Path) -> None:
    with PartWriter(folder, TRAJECTORIES, rows=10, seconds=60) as writer:
        writer.add(trajectory_row(FINISHED, PROVENANCE))


def write_failures(folder: Path, *rows: dict[str, object]) -> None:
    with PartWriter(folder, FAILURES, rows=10, seconds=60) as writer:
        for row in rows:
            writer.add(row)


def test_a_trajectory_comes_back_as_it_was_written_even_with_empty_lists(tmp_path: Path) -> None:
    write_finished(tmp_path)
    (row,) = read_rows(tmp_path, TRAJECTORIES)
    assert trajectory_of(row) == FINISHED
    assert row["correct"] is True
    assert row["em"] == 1.0


def test_parts_are_flushed_by_rows_and_at_the_end(tmp_path: Path) -> None:
    with PartWriter(tmp_path, FAILURES, rows=2, seconds=60) as writer:
        for number in range(5):
            writer.add(failure_row(f"q{number}", 0, "h", 1, FailureKind.TIMEOUT, "late"))
        assert sum(pq.read_metadata(part).num_rows for part in part_files(tmp_path)) == 4
    assert sum(pq.read_metadata(part).num_rows for part in part_files(tmp_path)) == 5


def test_parts_are_flushed_by_time(tmp_path: Path) -> None:
    with PartWriter(tmp_path, FAILURES, rows=100, seconds=0) as writer:
        writer.add(failure_row("q", 0, "h", 1, FailureKind.TIMEOUT, "late"))
        assert len(part_files(tmp_path)) == 1


def test_what_an_interrupted_write_left_is_not_read_and_goes_away(tmp_path: Path) -> None:
    leftover = tmp_path / ".part-1.parquet.ab.tmp"
    leftover.write_bytes(b"half")
    assert list(read_rows(tmp_path, FAILURES)) == []
    PartWriter(tmp_path, FAILURES, rows=1, seconds=1)
    assert not leftover.exists()


def test_transient_failures_are_tried_again_and_permanent_ones_only_when_asked(tmp_path: Path) -> None:
    write_failures(
        tmp_path / "failures",
        failure_row("late", 0, "h", 1, FailureKind.TIMEOUT, "late"),
        failure_row("long", 0, "h", 1, FailureKind.PROMPT_TOO_LONG, "long"),
    )
    ledger = read_ledger(tmp_path / "trajectories", tmp_path / "failures")
    work = [("late", 0), ("long", 0), ("new", 0)]
    assert ledger.left(work, retry_permanent=False) == [("late", 0), ("new", 0)]
    assert ledger.left(work, retry_permanent=True) == work
    assert ledger.attempt(("late", 0)) == 2
    assert ledger.attempt(("new", 0)) == 1


def test_a_failure_followed_by_success_is_finished(tmp_path: Path) -> None:
    write_failures(tmp_path / "failures", failure_row("q1", 0, "h", 1, FailureKind.ENGINE, "died"))
    write_finished(tmp_path / "trajectories")
    ledger = read_ledger(tmp_path / "trajectories", tmp_path / "failures")
    assert ledger.failed == {}
    assert ledger.left([("q1", 0)], retry_permanent=True) == []


def test_another_text_under_a_finished_id_is_refused(tmp_path: Path) -> None:
    write_finished(tmp_path / "trajectories")
    ledger = read_ledger(tmp_path / "trajectories", tmp_path / "failures")
    check_texts(ledger, [QUESTION], 1, tmp_path)
    with pytest.raises(RunFolderError, match="'q1' stands in"):
        check_texts(ledger, [Question("q1", "Whom?")], 1, tmp_path)


def test_files_of_another_schema_or_none_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"broken\.parquet.*not a Parquet file"):
        list(read_rows(tmp_path, FAILURES))
    (tmp_path / "broken.parquet").unlink()
    old = FAILURES.with_metadata({"steper_schema": "0"})
    pq.write_table(pa.Table.from_pylist([], schema=old), tmp_path / "old.parquet")
    with pytest.raises(RunFolderError, match=r"old\.parquet has schema version 0"):
        list(read_rows(tmp_path, FAILURES))
