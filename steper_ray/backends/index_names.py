"""What the passages of an index are called, as hashes: gold ones can be looked for without opening it.

A large corpus keeps a share of them, chosen by the hash itself, so that of any name it is known whether it belongs to
that share.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from steper_ray.core.identity import content_id
from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage

NAMES_FILE = "names.npz"
MOST = 2**18
"""Hashes that are kept of a kind of name, 2 MiB."""


class NameKind(StrEnum):
    """What a passage can be called by."""

    TITLE = "title"
    ID = "id"
    CONTENT = "content"
    """Its `content_id`."""


@dataclass(frozen=True)
class Known:
    """The names of one kind."""

    hashes: frozenset[int]
    bits: int = 0
    """Only hashes whose lowest so many bits are 0 are kept."""

    def judges(self, name: str) -> bool:
        """Whether it is known if a passage has this name."""
        return name_hash(name) & _mask(self.bits) == 0

    def holds(self, name: str) -> bool:
        """Whether a passage has it; to be asked of names that are judged."""
        return name_hash(name) in self.hashes


IndexNames = Mapping[NameKind, Known]


class NameBook:
    """Takes the names of passages down as they pass."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._hashes: dict[NameKind, set[int]] = {kind: set() for kind in NameKind}
        self._bits = dict.fromkeys(NameKind, 0)

    def watch(self, passages: Iterable[Passage]) -> Iterator[Passage]:
        """The same passages."""
        for passage in passages:
            self._note(NameKind.TITLE, squeeze(passage.title))
            self._note(NameKind.ID, passage.id)
            self._note(NameKind.CONTENT, content_id(passage.title, passage.text))
            yield passage

    def names(self) -> dict[NameKind, Known]:
        """What was seen so far."""
        return {kind: Known(frozenset(self._hashes[kind]), self._bits[kind]) for kind in NameKind}

    def _note(self, kind: NameKind, name: str) -> None:
        number, hashes = name_hash(name), self._hashes[kind]
        if not name or number & _mask(self._bits[kind]):
            return
        hashes.add(number)
        while len(hashes) > self._most:
            self._bits[kind] += 1
            hashes = self._hashes[kind] = {one for one in hashes if not one & _mask(self._bits[kind])}


def name_hash(name: str) -> int:
    """64 bits."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def write_names(folder: Path, names: IndexNames) -> None:
    """Write them beside an index."""
    parts: dict[str, np.ndarray] = {}
    for kind, known in names.items():
        parts[kind.value] = np.array(sorted(known.hashes), dtype=np.uint64)
        parts[f"{kind.value}_bits"] = np.array(known.bits)
    with (folder / NAMES_FILE).open("wb") as file:
        np.savez(file, allow_pickle=False, **parts)


def read_names(folder: Path) -> IndexNames | None:
    """Those of an index; None where it has none, or where they cannot be read."""
    try:
        return names_of((folder / NAMES_FILE).read_bytes())
    except OSError:
        return None


def names_of(content: bytes) -> IndexNames | None:
    """From the bytes of the file; None where they are something else."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as parts:
            return {
                kind: Known(frozenset(parts[kind.value].tolist()), int(parts[f"{kind.value}_bits"]))
                for kind in NameKind
            }
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _mask(bits: int) -> int:
    return (1 << bits) - 1
