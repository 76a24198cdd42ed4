"""Parquet parts that are whole or absent: written under a hidden name, then renamed."""

import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


class PartWriter:
    """Collects rows and writes them as parts of a folder, every n rows or t seconds; use as a context manager."""

    def __init__(self, folder: Path, schema: pa.Schema, *, rows: int, seconds: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        self._folder, self._schema = folder, schema
        self._rows, self._seconds = rows, seconds
        self._waiting: list[dict[str, Any]] = []
        self._oldest = time.monotonic()

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def add(self, row: dict[str, Any]) -> None:
        """Take one row; writes a part when enough rows wait or the oldest waited long enough."""
        if not self._waiting:
            self._oldest = time.monotonic()
        self._waiting.append(row)
        if len(self._waiting) >= self._rows or time.monotonic() - self._oldest >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Write the waiting rows as one part, if there are any."""
        if not self._waiting:
            return
        name = f"part-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
        write_parquet(self._folder / name, pa.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting = []


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write one Parquet file atomically, zstd-compressed."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        pq.write_table(table, temporary, compression="zstd")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
