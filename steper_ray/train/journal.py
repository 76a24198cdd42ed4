"""`metrics.jsonl`: one line per update and per held-out evaluation, written by the first rank, read by the driver."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from steper_ray.runs import write_text

if TYPE_CHECKING:
    from steper_ray.train.trackers import Trackers

METRICS_FILE = "metrics.jsonl"
_Line = TypeVar("_Line", bound=Mapping[str, Any])


class Journal:
    """Appends lines; each is whole before the next begins."""

    def __init__(
        self,
        folder: Path,
        *,
        writes: bool = True,
        trackers: "Trackers | None" = None,
        told: Callable[[Mapping[str, Any]], None] = lambda _line: None,
    ) -> None:
        """Write into a folder and pass on to trackers and `told`, or do nothing on ranks that do not write."""
        self._path = folder / METRICS_FILE
        self._writes = writes
        self._trackers, self._told = trackers, told

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line.

        Raises:
            OSError: the disk takes no more, or the folder is gone. One rank alone sees this, so the worker must break.
        """
        if not self._writes:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._trackers:
            self._trackers.write(line)
        self._told(line)

    def rewind(self, update: int) -> None:
        """Forget lines after an update: they are about to be written again."""
        if self._writes and self._path.exists():
            kept = [line for line in read_journal(self._path.parent) if line["update"] <= update]
            write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))


class JournalTail:
    """Follows a journal while it grows, reading each line once."""

    def __init__(self, folder: Path) -> None:
        """Begin at the start of a folder's journal, which need not exist yet."""
        self._path = folder / METRICS_FILE
        self._file = 0
        self._place = 0

    def lines(self) -> list[dict[str, Any]]:
        """What came since the last call; after a rewind, which replaces the file, all of it again."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return []
        if status.st_ino != self._file or status.st_size < self._place:
            self._file, self._place = status.st_ino, 0
        with self._path.open("rb") as file:
            file.seek(self._place)
            whole, end, _ = file.read().rpartition(b"\n")
        self._place += len(whole) + len(end)
        return [json.loads(line) for line in whole.splitlines()]


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """The lines written so far; one that is still being written is left out."""
    try:
        text = (folder / METRICS_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.split("\n")[:-1]]


def seconds_of(updates: Iterable[Mapping[str, Any]]) -> list[float]:
    """Seconds of each update that says its speed; evaluations and checkpoints stand between them and are not in it."""
    return [line["tokens"] / line["tokens_per_s"] for line in updates if line.get("tokens_per_s")]


def updates_of(lines: Iterable[_Line]) -> list[_Line]:
    """The lines of updates, without those of held-out evaluations."""
    return [line for line in lines if "total" in line]
