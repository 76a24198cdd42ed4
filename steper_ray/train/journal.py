"""`metrics.jsonl`: one line per update and per held-out evaluation, written by the first rank, read by the driver."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steper_ray.runs import write_text

METRICS_FILE = "metrics.jsonl"


class Journal:
    """Appends lines; each is whole before the next begins."""

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        """Write into a folder, or do nothing on ranks that do not write."""
        self._path = folder / METRICS_FILE
        self._writes = writes

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line."""
        if self._writes:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def rewind(self, update: int) -> None:
        """Forget lines after an update: they are about to be written again."""
        if self._writes and self._path.exists():
            kept = [line for line in read_journal(self._path.parent) if line["update"] <= update]
            write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))


def read_journal(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines written so far; one that is still being written is left out."""
    path = folder / METRICS_FILE
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
