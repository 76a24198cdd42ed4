"""Resuming over millions of finished keys: the ledger is read from real parts, and a new question is looked up."""

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from steper_ray.data.schemas import TRAJECTORIES
from steper_ray.drive.ledger import read_ledger
from steper_ray.drive.writer import write_parquet

_ROWS_PER_PART = 10_000
_LOOKED_UP = 100_000


def resume(folder: Path, keys: int) -> dict[str, Any]:
    """Write so many synthetic finished rows, then read the ledger and ask it for finished and for new ids."""
    trajectories = folder / "trajectories"
    trajectories.mkdir(parents=True)
    empty = {
        field.name: pa.nulls(_ROWS_PER_PART, field.type)
        for field in TRAJECTORIES
        if field.name not in ("question_id", "path", "text_hash")
    }
    for start in range(0, keys, _ROWS_PER_PART):
        numbers = np.arange(start, start + _ROWS_PER_PART)
        columns = {
            "question_id": pa.array([f"{number:024x}" for number in numbers.tolist()]),
            "path": pa.array(np.zeros(_ROWS_PER_PART, np.int32)),
            "text_hash": pa.array([f"{number * 7:016x}" for number in numbers.tolist()]),
            **empty,
        }
        arrays = [columns[field.name] for field in TRAJECTORIES]
        write_parquet(trajectories / f"part-{start:012d}.parquet", pa.Table.from_arrays(arrays, schema=TRAJECTORIES))
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    started = time.monotonic()
    ledger = read_ledger(trajectories, folder / "failures")
    read_s = time.monotonic() - started
    old = [f"{number:024x}" for number in range(0, keys, keys // _LOOKED_UP)]
    new = [f"new-{number}" for number in range(_LOOKED_UP)]
    started = time.monotonic()
    assert ledger.finished(old).all()
    assert not ledger.finished(new).any()
    return {
        "keys": keys,
        "read_s": read_s,
        "lookup_s_per_million": (time.monotonic() - started) * 1e6 / (len(old) + len(new)),
        "memory_mib_before": before_mib,
        "memory_mib_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }
