"""Tokenised units in one Arrow file: written once, memory-mapped by every rank and read by number."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steper_ray.core.types import STAGES
from steper_ray.student.units import STAGE_NUMBER, Segment, Unit
from steper_ray.train.order import Traits

UNIT_SCHEMA = pa.schema(
    [
        ("unit_id", pa.string()),
        ("question_id", pa.string()),
        ("token_ids", pa.list_(pa.int32())),
        ("sample_ids", pa.list_(pa.string())),
        ("stages", pa.list_(pa.int8())),
        ("starts", pa.list_(pa.int32())),
        ("stops", pa.list_(pa.int32())),
        ("steps", pa.int32()),
        ("passages", pa.int32()),
    ]
)


def units_table(units: Sequence[Unit]) -> pa.Table:
    """Units as rows of `UNIT_SCHEMA`."""
    segments = [unit.segments for unit in units]
    columns = {
        "unit_id": [unit.id for unit in units],
        "question_id": [unit.question_id for unit in units],
        "token_ids": [unit.token_ids for unit in units],
        "sample_ids": [[segment.sample_id for segment in row] for row in segments],
        "stages": [[STAGE_NUMBER[segment.stage] for segment in row] for row in segments],
        "starts": [[segment.start for segment in row] for row in segments],
        "stops": [[segment.stop for segment in row] for row in segments],
        "steps": [unit.steps for unit in units],
        "passages": [unit.passages for unit in units],
    }
    return pa.table(columns, schema=UNIT_SCHEMA)


def write_units(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables of units to one file, which appears under its name only when it is whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, UNIT_SCHEMA) as writer:
            for table in tables:
                writer.write_table(table.cast(UNIT_SCHEMA))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class UnitStore:
    """The units of one file, numbered in the order of their ids, whatever order they were written in."""

    def __init__(self, table: pa.Table) -> None:
        """Number the rows of a table; `open_units` is the usual way to get one."""
        self._table = table
        names = table["unit_id"].to_pylist()
        self._rows = sorted(range(len(names)), key=names.__getitem__)
        questions = table["question_id"].to_pylist()
        lengths = pc.list_value_length(table["token_ids"]).to_pylist()
        stages = table["stages"].to_pylist()
        self.question_ids: list[str] = [questions[row] for row in self._rows]
        self.lengths: list[int] = [lengths[row] for row in self._rows]
        self.stages: list[list[int]] = [stages[row] for row in self._rows]
        steps, passages = table["steps"].to_pylist(), table["passages"].to_pylist()
        self.traits = [Traits(tuple(sorted(set(stages[row]))), steps[row], passages[row]) for row in self._rows]

    def target_tokens(self) -> list[int]:
        """Target tokens of every unit."""
        starts, stops = (self._table[name].combine_chunks() for name in ("starts", "stops"))
        sizes = pc.subtract(stops.flatten(), starts.flatten()).to_numpy()
        rows = starts.value_parent_indices().to_numpy()
        counts = np.bincount(rows, weights=sizes, minlength=len(self._table)).astype(int).tolist()
        return [counts[row] for row in self._rows]

    def __len__(self) -> int:
        """Number of units."""
        return len(self._rows)

    def __getitem__(self, number: int) -> Unit:
        """The unit with this number; only its own bytes are read."""
        row = self._table.slice(self._rows[number], 1)
        values = {name: row[name][0] for name in UNIT_SCHEMA.names}
        parts = (values[name].as_py() for name in ("sample_ids", "stages", "starts", "stops"))
        return Unit(
            id=values["unit_id"].as_py(),
            question_id=values["question_id"].as_py(),
            token_ids=np.asarray(values["token_ids"].values, dtype=np.int32),
            segments=tuple(
                Segment(sample_id, STAGES[stage], start, stop)
                for sample_id, stage, start, stop in zip(*parts, strict=True)
            ),
            steps=values["steps"].as_py(),
            passages=values["passages"].as_py(),
        )


@contextmanager
def open_units(path: Path) -> Iterator[UnitStore]:
    """The store of a file, memory-mapped while the block runs."""
    with pa.memory_map(str(path)) as source:
        yield UnitStore(pa.ipc.open_file(source).read_all())
