"""How long prompts and targets are, by stage, from the tokenised units of a training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steper_ray.core.types import STAGE_TERMS, STAGES
from steper_ray.errors import InputError


@dataclass(frozen=True, slots=True)
class Spread:
    """Some lengths in tokens."""

    count: int
    median: int
    high: int
    """90th percentile."""
    most: int


@dataclass(frozen=True)
class Lengths:
    """Tokens of whole units, and of the targets of each stage."""

    units: Spread
    targets: Mapping[str, Spread]
    """By loss term."""


def read_lengths(path: Path) -> Lengths | None:
    """Read them; None of a file without units.

    Raises:
        InputError: not a file of tokenised units.
    """
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
            units = pc.list_value_length(table["token_ids"]).to_numpy()
            stages, starts, stops = (pc.list_flatten(table[name]).to_numpy() for name in ("stages", "starts", "stops"))
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InputError(f"holds no tokenised units: {error}", file=path, remedy="Run `steper train` again") from None
    if not len(units):
        return None
    return Lengths(
        units=spread(units),
        targets={
            STAGE_TERMS[stage]: spread((stops - starts)[stages == number])
            for number, stage in enumerate(STAGES)
            if (stages == number).any()
        },
    )


def spread(lengths: np.ndarray) -> Spread:
    """Count, median, 90th percentile and maximum; at least one length."""
    median, high = np.quantile(lengths, [0.5, 0.9], method="inverted_cdf")
    return Spread(len(lengths), int(median), int(high), int(lengths.max()))
