"""Rows of a question file chosen at random, the same for the same seed."""

import hashlib
import heapq
from pathlib import Path

from steper_ray.data.records import Record, read_records


def sampled(path: Path, count: int, seed: int) -> tuple[list[Record], int]:
    """`count` rows at random, in the file's order, and how many rows the file has; only the chosen ones are held.

    A row is chosen when the hash of seed and id is among the smallest. So the choice depends on nothing else, and a
    larger count keeps what a smaller one chose: a generation can be continued with more questions.

    Raises:
        InputError: broken file, or a row without an id.
    """
    # A heap of the smallest hashes, its largest first.
    chosen: list[tuple[int, int, Record]] = []
    rows = 0
    for rows, record in enumerate(read_records(path), start=1):
        entry = (-_hash(seed, record.id()), -rows, record)
        if len(chosen) < count:
            heapq.heappush(chosen, entry)
        elif entry > chosen[0]:
            heapq.heapreplace(chosen, entry)
    return [record for _, _, record in sorted(chosen, key=lambda entry: entry[1], reverse=True)], rows


def _hash(seed: int, id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\n{id}".encode()).digest()[:8], "big")
