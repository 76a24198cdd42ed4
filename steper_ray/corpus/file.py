"""A corpus file that appears whole or not at all: JSON Lines (gzip too) or Parquet, by its name."""

import gzip
import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steper_ray.core.types import Passage
from steper_ray.errors import RunFolderError

_SCHEMA = pa.schema([("id", pa.string()), ("title", pa.string()), ("text", pa.string())])
_ROWS_AT_ONCE = 4096
_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")


def write_corpus(passages: Iterable[Passage], path: Path, *, overwrite: bool = False) -> None:
    """Write passages one by one under a hidden name and rename at the end.

    Raises:
        RunFolderError: the name says no known format, the file exists and is not to be replaced, or it cannot be
            written. Found before the first passage is taken, but for a full disk.
    """
    _check(path, overwrite=overwrite)
    with _renamed_at_the_end(path) as hidden:
        if path.name.endswith(".parquet"):
            _write_table(passages, hidden)
        else:
            _write_lines(passages, hidden, packed=path.name.endswith(".gz"))


def _check(path: Path, *, overwrite: bool) -> None:
    if not path.name.endswith(_SUFFIXES):
        raise RunFolderError(f"{path} says no format; end its name with {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}")
    if path.is_dir():
        raise RunFolderError(f"{path} is a folder; name a file")
    if path.exists() and not overwrite:
        raise RunFolderError(f"{path} exists already; name another file, or replace it with --overwrite")


@contextmanager
def _renamed_at_the_end(path: Path) -> Iterator[Path]:
    hidden = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield hidden
        hidden.replace(path)
    except OSError as error:
        raise RunFolderError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        hidden.unlink(missing_ok=True)


def _write_lines(passages: Iterable[Passage], path: Path, *, packed: bool) -> None:
    # Without the time in the header, so that equal corpora are equal files.
    with gzip.GzipFile(path, "wb", mtime=0) if packed else path.open("wb") as file:
        for passage in passages:
            file.write(json.dumps(_row(passage), ensure_ascii=False).encode() + b"\n")


def _write_table(passages: Iterable[Passage], path: Path) -> None:
    rows = map(_row, passages)
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as table:
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            table.write_table(pa.Table.from_pylist(batch, schema=_SCHEMA))


def _row(passage: Passage) -> dict[str, str]:
    return {"id": passage.id, "title": passage.title, "text": passage.text}
