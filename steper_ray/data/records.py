"""Rows of input files (JSON Lines, a JSON list, Parquet; gzip too), each knowing where it stands for error messages."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from steper_ray.core.text import squeeze
from steper_ray.errors import InputError

ROWS_AT_ONCE = 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Record:
    """One row: its values, and its place counted from 1 (`line`, `entry` of a list, or `row` of a table)."""

    values: dict[str, Any]
    file: Path
    unit: str
    number: int

    @property
    def place(self) -> str:
        """Such as `line 7`."""
        return f"{self.unit} {self.number}"

    def fault(self, problem: str, *, field: str | None = None, found: object = None, remedy: str = "") -> InputError:
        """The error to raise about this row."""
        return InputError(problem, file=f"{self.file}, {self.place}", field=field, found=found, remedy=remedy)

    def first_of(self, *fields: str) -> str:
        """The first of these fields that the row has; where it has none, the first."""
        return next((field for field in fields if self.values.get(field) is not None), fields[0])

    def text(self, *fields: str, remedy: str = "") -> str:
        """The text of the first of these fields that is there, with white space squeezed.

        Raises:
            InputError: none is there, or it is not text, or it is empty.
        """
        field = self.first_of(*fields)
        value = self.values.get(field)
        if value is None:
            names = " or ".join(f"'{name}'" for name in fields)
            raise self.fault(f"{names} is missing", found=sorted(self.values), remedy=remedy)
        return self.clean(value, field, remedy)

    def clean(self, value: object, field: str, remedy: str = "") -> str:
        """One value as squeezed text.

        Raises:
            InputError: it is not text, it is empty, or it cannot be written as UTF-8.
        """
        if not isinstance(value, str):
            raise self.fault("must be text", field=field, found=value, remedy=remedy or "Put it in quotes")
        text = squeeze(value)
        if not text:
            raise self.fault("is empty", field=field, found=value, remedy=remedy)
        if not text.isascii() and _SURROGATE.search(text):
            raise self.fault("holds half of a surrogate pair", field=field, found=value, remedy="Write it as UTF-8")
        return text

    def id(self) -> str:
        """The value of `_id` or `id`: text or a whole number.

        Raises:
            InputError: it is missing, empty, of another type, or holds white space other than single inner spaces.
        """
        field = self.first_of("_id", "id")
        value = self.values.get(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        id = self.text("_id", "id", remedy="Give every row an id of its own")
        if id != value:
            raise self.fault("holds line breaks or superfluous spaces", field=field, found=value, remedy="Remove them")
        return id


def read_records(path: Path) -> Iterator[Record]:
    """The rows of a file, one by one; `.parquet` is told by its name, a JSON list by its first character.

    Raises:
        InputError: not there, not readable, or broken; names the line.
    """
    if not path.is_file():
        raise InputError("is not a file" if path.exists() else "does not exist", file=path)
    if path.suffix == ".parquet":
        return _table(path)
    return _entries(path) if _starts_a_list(path) else _lines(path)


def _lines(path: Path) -> Iterator[Record]:
    for number, line in enumerate(_raw_lines(path), start=1):
        try:
            value = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8", file=path, line=number, found=line[error.start : error.end]) from None
        except (json.JSONDecodeError, RecursionError) as error:
            if not line.strip():
                continue
            raise InputError(
                _broken(error), file=path, line=number, found=line.decode().strip(), remedy="One object per line"
            ) from None
        if not isinstance(value, dict):
            raise InputError("must be a JSON object", file=path, line=number, found=value, remedy="One object per line")
        yield Record(value, path, "line", number)


def _entries(path: Path) -> Iterator[Record]:
    """A JSON list is read whole: the formats that use it are question sets."""
    try:
        values = json.loads(b"".join(_raw_lines(path)).decode("utf-8"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8", file=path, line=line, found=error.object[error.start : error.end]) from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(_broken(error), file=path, line=getattr(error, "lineno", None)) from None
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise InputError("must be a JSON object", file=f"{path}, entry {number}", found=value)
        yield Record(value, path, "entry", number)


def _broken(error: json.JSONDecodeError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "JSON nested too deep"
    return f"broken JSON at column {error.colno}: {error.msg}"


def _table(path: Path) -> Iterator[Record]:
    number = 0
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=ROWS_AT_ONCE):
                for values in batch.to_pylist():
                    number += 1
                    yield Record(values, path, "row", number)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise InputError(f"cannot be read as Parquet after row {number}: {problem}", file=path) from None


def _raw_lines(path: Path) -> Iterator[bytes]:
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                yield line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read: {error}", file=path, line=number + 1) from None


def _starts_a_list(path: Path) -> bool:
    return next((line.lstrip()[:1] for line in _raw_lines(path) if line.strip()), b"") == b"["


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
