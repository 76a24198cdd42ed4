"""Samples → token ids: Ray Data reads the samples and tokenises them once; every later start finds the file."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from steper_ray.core.chat import ChatFormat, load_chat_format
from steper_ray.core.types import Layout
from steper_ray.data.schemas import part_files, sample_of
from steper_ray.errors import ConfigError
from steper_ray.student.units import Unit, appended_units, turns_units
from steper_ray.train.store import UNIT_SCHEMA, units_table, write_units

COLUMNS = ["question_id", "path", "step", "stage", "prompt", "target", "golden_answer", "passage_ids"]
_FAULT = "fault"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "chat_template.jinja", "vocab.json")
_ROWS_PER_PARTITION = 2000


def tokens_fingerprint(samples_fingerprint: str, samples: Path, model: Path, layout: Layout) -> str:
    """Changes when samples, tokenizer, chat template or layout do."""
    digest = hashlib.sha256(f"{samples_fingerprint}/{layout}/{','.join(UNIT_SCHEMA.names)}".encode())
    for part in part_files(samples):
        digest.update(f"{part.name}/{part.stat().st_size}".encode())
    for name in _TOKENIZER_FILES:
        if (model / name).is_file():
            digest.update(name.encode() + (model / name).read_bytes())
    return digest.hexdigest()[:16]


def tokenise(samples: Path, rows: int, model: Path, layout: Layout, target: Path) -> None:
    """Write the units of all samples to one file.

    Args:
        samples: folder of Parquet parts.
        rows: how many samples they hold.
        model: folder with tokenizer and chat template.
        layout: `turns` makes one unit per trajectory, `appended` one per sample.
        target: the file; it appears when it is whole.

    Raises:
        ConfigError: a sample does not fit the layout; names it.
    """
    import ray.data

    from steper_ray.drive.pipeline import quieten

    quieten()
    dataset = ray.data.read_parquet([str(part) for part in part_files(samples)], columns=COLUMNS)
    options: dict[str, Any] = {"batch_format": "pyarrow", "fn_kwargs": {"model": str(model), "layout": layout.value}}
    build: Any = build_units
    if layout is Layout.TURNS:
        partitions = max(1, min(64, rows // _ROWS_PER_PARTITION))
        units = dataset.groupby(["question_id", "path"], num_partitions=partitions).map_groups(build, **options)
    else:
        units = dataset.map_batches(build, batch_size=256, **options)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_units(target, _checked(units.iter_batches(batch_format="pyarrow", batch_size=None)))


def build_units(batch: pa.Table, model: str, layout: str) -> pa.Table:
    """Rows of samples → rows of units; a sample that does not fit becomes a row that says so."""
    samples = [sample_of(row) for row in batch.to_pylist()]
    build = turns_units if layout == Layout.TURNS else appended_units
    units: list[Unit] = []
    fault = ""
    try:
        for _, group in groupby(samples, key=lambda sample: (sample.question_id, sample.path)):
            units += build(list(group), _chat_format(model))
    except ConfigError as error:
        fault = str(error)
    table = units_table(units)
    if fault:
        table = pa.concat_tables([table, pa.table({"unit_id": [""]})], promote_options="default").cast(UNIT_SCHEMA)
    return table.append_column(_FAULT, pa.array([""] * len(units) + [fault] * bool(fault), pa.string()))


def _checked(tables: Iterable[Any]) -> Iterator[pa.Table]:
    for table in tables:
        if faults := sorted(filter(None, table[_FAULT].to_pylist())):
            raise ConfigError(faults[0])
        yield table.drop_columns([_FAULT])


@lru_cache(maxsize=1)
def _chat_format(model: str) -> ChatFormat:
    return load_chat_format(Path(model))
