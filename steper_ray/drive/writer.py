"""Parquet parts that are whole or absent: written under a hidden name, then renamed."""

import os
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steper_ray.errors import PhaseFailed

_BETWEEN_PARTS_S = 0.25
"""At a high rate parts grow instead of becoming many."""


class PartWriter:
    """Collects rows and writes them as parts of a folder, every n rows or t seconds; use as a context manager.

    A part is written when `rows` wait and a quarter of a second has passed since the last part, or when the oldest row
    has waited `seconds`, whether or not another one comes in. Disk errors end the run with `PhaseFailed`; written parts
    stay.
    """

    def __init__(self, folder: Path, schema: pa.Schema, *, rows: int, seconds: float) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)
        except OSError as error:
            raise PhaseFailed(f"cannot write to {folder}: {error.strerror or error}. Make room or mend it") from error
        self._folder, self._schema = folder, schema
        self._rows, self._seconds = rows, seconds
        self._waiting: list[dict[str, Any]] = []
        self._oldest = self._last_part = float("-inf")
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._fault: PhaseFailed | None = None
        self.writing_s = 0.0
        """Time spent writing parts, seconds."""
        self.first_part: float | None = None
        """When the first part was there, in `time.monotonic`."""

    def __enter__(self) -> "PartWriter":
        if self._seconds != float("inf"):
            threading.Thread(target=self._watch_time, name="part-writer", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self.flush()

    def add(self, row: dict[str, Any]) -> None:
        """Take one row; writes a part when enough rows wait.

        Raises:
            PhaseFailed: a part could not be written, now or by the clock.
        """
        with self._lock:
            self._raise_fault()
            if not self._waiting:
                self._oldest = time.monotonic()
            self._waiting.append(row)
            if len(self._waiting) >= self._rows and time.monotonic() - self._last_part >= _BETWEEN_PARTS_S:
                self._write()

    def flush(self) -> None:
        """Write the waiting rows as one part, if there are any.

        Raises:
            PhaseFailed: as `add`.
        """
        with self._lock:
            self._raise_fault()
            self._write()

    def _watch_time(self) -> None:
        while not self._closed.wait(min(1.0, self._seconds / 2)):
            with self._lock:
                if self._waiting and time.monotonic() - self._oldest >= self._seconds:
                    try:
                        self._write()
                    except PhaseFailed as fault:
                        self._fault = fault
                        return

    def _raise_fault(self) -> None:
        if self._fault:
            raise self._fault

    def _write(self) -> None:
        if not self._waiting:
            return
        started = time.monotonic()
        name = f"part-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
        try:
            write_parquet(self._folder / name, pa.Table.from_pylist(self._waiting, schema=self._schema))
        except OSError as error:
            raise PhaseFailed(
                f"cannot write to {self._folder}: {error.strerror or error}. {len(self._waiting)} finished rows are "
                "not kept, all before them are. Make room or mend the folder; the same command continues"
            ) from error
        self._waiting = []
        self._last_part = time.monotonic()
        self.writing_s += self._last_part - started
        self.first_part = self.first_part or self._last_part


def write_parquet(path: Path, table: pa.Table, *, row_group_rows: int | None = None) -> None:
    """Write one Parquet file atomically, zstd-compressed."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd", row_group_size=row_group_rows)
            file.flush()
            # Otherwise a power cut may leave the new name with half a file behind it.
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
