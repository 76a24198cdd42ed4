"""What is written stays readable, and what is done is not done again."""

import errno
import fcntl
import os
import resource
import secrets
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.core.types import Failure, FailureKind, Question, Step, StopReason, Trajectory
from steper_ray.data.schemas import (
    FAILURES,
    TRAJECTORIES,
    failure_row,
    part_files,
    read_rows,
    trajectory_of,
    trajectory_row,
)
from steper_ray.drive.ledger import check_texts, key_hashes, read_ledger, text_hash
from steper_ray.drive.lock import sole_writer
from steper_ray.drive.writer import PartWriter
from steper_ray.errors import InputError, PhaseFailed, RunFolderError

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
        for number in range(3):
            writer.add(failure_row(Failure(f"q{number}", 0, "h", FailureKind.TIMEOUT, "late"), 1))
        assert sum(pq.read_metadata(part).num_rows for part in part_files(tmp_path)) == 2
    assert sum(pq.read_metadata(part).num_rows for part in part_files(tmp_path)) == 3


def test_a_waiting_row_is_written_when_its_time_has_come_even_if_no_other_follows(tmp_path: Path) -> None:
    with PartWriter(tmp_path, FAILURES, rows=100, seconds=0.05) as writer:
        writer.add(failure_row(Failure("q", 0, "h", FailureKind.TIMEOUT, "late"), 1))
        patience = time.monotonic() + 20
        while not part_files(tmp_path) and time.monotonic() < patience:
            time.sleep(0.02)
        assert len(part_files(tmp_path)) == 1


def test_at_a_high_rate_parts_grow_instead_of_becoming_many(tmp_path: Path) -> None:
    with PartWriter(tmp_path, FAILURES, rows=2, seconds=60) as writer:
        for number in range(7):
            writer.add(failure_row(Failure(f"q{number}", 0, "h", FailureKind.TIMEOUT, "late"), 1))
    assert [pq.read_metadata(part).num_rows for part in part_files(tmp_path)] == [2, 5]


def test_a_disk_that_takes_no_more_ends_the_run_and_keeps_what_is_written(tmp_path: Path) -> None:
    row = failure_row(Failure("q", 0, "h", FailureKind.TIMEOUT, "late"), 1)
    with PartWriter(tmp_path, FAILURES, rows=1, seconds=60) as writer:
        writer.add(row)
    noise = {**row, "message": secrets.token_hex(100_000)}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        writer = PartWriter(tmp_path, FAILURES, rows=1, seconds=60)
        with pytest.raises(PhaseFailed, match=r"cannot write to .* the same command continues"):
            writer.add(noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [found["message"] for found in read_rows(tmp_path, FAILURES)] == ["late"]
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PhaseFailed, match=r"^cannot write to .*file/parts: Not a directory"):
        PartWriter(tmp_path / "file" / "parts", FAILURES, rows=1, seconds=60)


def test_what_an_interrupted_write_left_is_not_read_and_goes_away(tmp_path: Path) -> None:
    leftover = tmp_path / ".part-1.parquet.ab.tmp"
    leftover.write_bytes(b"half")
    assert list(read_rows(tmp_path, FAILURES)) == []
    PartWriter(tmp_path, FAILURES, rows=1, seconds=1)
    assert not leftover.exists()


def test_transient_failures_are_tried_again_and_permanent_ones_only_when_asked(tmp_path: Path) -> None:
    write_failures(
        tmp_path / "failures",
        failure_row(Failure("late", 0, "h", FailureKind.TIMEOUT, "late"), 1),
        failure_row(Failure("long", 0, text_hash(Question("long", "Who?")), FailureKind.PROMPT_TOO_LONG, "long"), 1),
    )
    ledger = read_ledger(tmp_path / "trajectories", tmp_path / "failures")
    late, long, new = (Question(name, "Who?") for name in ("late", "long", "new"))
    assert ledger.left([late, long, new], 1, retry_permanent=False) == [(late, 0), (new, 0)]
    assert ledger.left([late, long, new], 1, retry_permanent=True) == [(late, 0), (long, 0), (new, 0)]
    shorter = Question("long", "?")
    assert ledger.left([shorter], 1, retry_permanent=False) == [(shorter, 0)]
    assert ledger.attempt(("late", 0)) == 2
    assert ledger.attempt(("new", 0)) == 1


def test_a_failure_followed_by_success_is_finished(tmp_path: Path) -> None:
    write_failures(tmp_path / "failures", failure_row(Failure("q1", 0, "h", FailureKind.ENGINE, "died"), 1))
    write_finished(tmp_path / "trajectories")
    ledger = read_ledger(tmp_path / "trajectories", tmp_path / "failures")
    assert ledger.failed == {}
    assert ledger.attempts == 2
    assert ledger.left([QUESTION], 1, retry_permanent=True) == []
    assert ledger.left([QUESTION], 2, retry_permanent=True) == [(QUESTION, 1)]


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


def test_ten_thousand_keys_of_several_paths_are_told_apart(tmp_path: Path) -> None:
    names = [f"q{number}" for number in range(10_000)]
    hashes = np.concatenate([key_hashes(names, path) for path in range(3)])
    assert len(np.unique(hashes)) == 30_000
    # Equal in every process: a folder is continued by another one.
    assert key_hashes(["q1"], 0).tolist() == [3076568338158756072]


def test_the_ledger_finds_what_is_finished_in_any_order(tmp_path: Path) -> None:
    folder = tmp_path / "trajectories"
    with PartWriter(folder, TRAJECTORIES, rows=10, seconds=60) as writer:
        for name in ("b", "a", "d"):
            question = Question(name, f"Who is {name}?", ("x",))
            trajectory = Trajectory(question, 1, (), "x", StopReason.ANSWERED)
            writer.add(trajectory_row(trajectory, {**PROVENANCE, "text_hash": text_hash(question)}))
    ledger = read_ledger(folder, tmp_path / "failures")
    assert ledger.finished(["a", "b", "c", "d"], 1).tolist() == [True, True, False, True]
    assert not ledger.finished(["a", "b", "c", "d"], 0).any()
    assert ledger.other_text([Question("c", "new"), Question("d", "Who is d?")], 1) is None
    assert ledger.other_text([Question("d", "Who was d?")], 1) == Question("d", "Who was d?")


def test_a_second_writer_of_the_same_folder_is_refused_until_the_first_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steper_ray.drive.lock._PROBE_S", 0.1)
    with (
        sole_writer(tmp_path),
        pytest.raises(RunFolderError, match=r"another process writes into .* \(process \d+ on "),
        sole_writer(tmp_path),
    ):
        pass
    with sole_writer(tmp_path):
        pass


def test_a_file_system_without_locks_gets_a_warning_and_not_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with sole_writer(tmp_path):
        pass
    assert "without locks (No locks available)" in caplog.text
