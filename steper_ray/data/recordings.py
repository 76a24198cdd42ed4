"""What a `replay` teacher repeats: annotated chains, or MuSiQue's decompositions; told by the first row's fields."""

from itertools import islice
from pathlib import Path

from steper_ray.data.chains import read_chains
from steper_ray.data.decompositions import FIELD, read_decompositions
from steper_ray.data.records import read_records


def read_recordings(path: Path) -> dict[str, tuple[str, ...]]:
    """Rationales by question id; raises as `read_chains` and `read_decompositions` do."""
    return read_decompositions(path) if holds_decompositions(path) else read_chains(path)


def holds_decompositions(path: Path) -> bool:
    """Whether the file is MuSiQue's, whose rationales are self-ask's.

    Raises:
        InputError: not readable.
    """
    return any(FIELD in record.values and "steps" not in record.values for record in islice(read_records(path), 1))
