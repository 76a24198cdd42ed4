"""What is done and what is left: the keys already written, and the failures worth another try.

Ten million keys must fit a driver, so finished ones are held as two 64-bit hashes each, of the key and of the
question's text. A foreign key that shares a hash with a finished one (odds of 1 in 10⁵ for ten million) also has
another text, and is refused as such instead of being skipped.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from steper_ray.core.types import FailureKind, Question
from steper_ray.data.schemas import FAILURES, open_part, part_files, read_rows
from steper_ray.errors import RunFolderError

Key = tuple[str, int]
"""Question id and path."""

_PATH_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """What the last try at a key came to."""

    kind: FailureKind
    number: int
    """From 1."""
    text_hash: str
    """Of the question's text at that time."""


@dataclass(frozen=True)
class Ledger:
    """The state of a folder of trajectories and failures."""

    keys: np.ndarray
    """Hashes of the finished keys, sorted, uint64."""
    texts: np.ndarray
    """Hash of the question's text of each, uint64."""
    failed: dict[Key, FailedAttempt]
    """The last failed attempt, by key not finished since."""
    attempts: int = 0
    """Rows of trajectories and of failures: more with every execution that kept anything."""

    def finished(self, ids: Sequence[str], path: int = 0) -> np.ndarray:
        """Which of these questions are finished on this path; bool, one per id."""
        _, found = self._find(key_hashes(ids, path))
        return found

    def left(self, questions: Sequence[Question], paths: int, *, retry_permanent: bool) -> list[tuple[Question, int]]:
        """The work still to be done, all paths of a question together: neither finished, nor failed for good.

        A question whose text was changed after it had failed for good is tried again.
        """
        ids = [question.id for question in questions]
        done = [self.finished(ids, path) for path in range(paths)]
        return [
            (question, path)
            for row, question in enumerate(questions)
            for path in range(paths)
            if not done[path][row] and (retry_permanent or not self._permanent(question, path))
        ]

    def attempt(self, key: Key) -> int:
        """Number of the next attempt at this key, from 1."""
        return self.failed[key].number + 1 if key in self.failed else 1

    def other_text(self, questions: Sequence[Question], path: int) -> Question | None:
        """The first of these questions that was finished with another text on this path."""
        positions, found = self._find(key_hashes([question.id for question in questions], path))
        for row in np.flatnonzero(found).tolist():
            question: Question = questions[row]
            if self.texts[positions[row]] != int(text_hash(question), 16):
                return question
        return None

    def _find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(self.keys):
            return np.zeros(len(hashes), np.int64), np.zeros(len(hashes), bool)
        positions = np.minimum(np.searchsorted(self.keys, hashes), len(self.keys) - 1)
        return positions, self.keys[positions] == hashes

    def _permanent(self, question: Question, path: int) -> bool:
        last = self.failed.get((question.id, path))
        return last is not None and not last.kind.transient and last.text_hash == text_hash(question)


def read_ledger(trajectories: Path, failures: Path) -> Ledger:
    """Read which keys are finished or failed; only the key columns are loaded.

    Raises:
        InputError, RunFolderError: a part is not Parquet, or of another schema.
    """
    columns = ["question_id", "path", "text_hash"]
    keys, texts = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    for part in part_files(trajectories):
        with open_part(part, columns) as file:
            table = file.read(columns)
        keys.append(_table_hashes(table))
        texts.append(_from_hex(table["text_hash"]))
    joined = np.concatenate(keys)
    order = np.argsort(joined, kind="stable")
    ledger = Ledger(joined[order], np.concatenate(texts)[order], {})
    failed, attempts = _failed(failures, ledger)
    return Ledger(ledger.keys, ledger.texts, failed, len(ledger.keys) + attempts)


def check_texts(ledger: Ledger, questions: Sequence[Question], paths: int, folder: Path) -> None:
    """Refuse questions whose id was finished with another text.

    Raises:
        RunFolderError: names the question.
    """
    for path in range(paths):
        if question := ledger.other_text(questions, path):
            raise RunFolderError(
                f"question {question.id!r} stands in {folder} with another text; "
                "give the changed question a new id, or use another folder"
            )


def text_hash(question: Question) -> str:
    """A short hash of the question's text, 16 hexadecimal digits, so that another text under the same id is noticed."""
    return hashlib.sha256(question.text.encode()).hexdigest()[:16]


def key_hashes(ids: Sequence[str] | np.ndarray, path: int | np.ndarray) -> np.ndarray:
    """64-bit hashes of keys, equal in every process; `path` is one for all or one for each."""
    hashed = pd.util.hash_array(np.asarray(ids, dtype=object), categorize=False)
    mixed: np.ndarray = hashed ^ (np.asarray(path, np.uint64) * _PATH_STEP)
    return mixed


def _failed(failures: Path, ledger: Ledger) -> tuple[dict[Key, FailedAttempt], int]:
    """The last attempt at each key not finished since, and the number of all attempts."""
    last: dict[Key, FailedAttempt] = {}
    attempts = 0
    for row in read_rows(failures, FAILURES, ["question_id", "path", "attempt", "kind", "text_hash"]):
        key = (row["question_id"], row["path"])
        attempts += 1
        if key not in last or row["attempt"] >= last[key].number:
            last[key] = FailedAttempt(FailureKind(row["kind"]), row["attempt"], row["text_hash"])
    names = list(last)
    hashes = key_hashes([name for name, _ in names], np.array([path for _, path in names], np.uint64))
    _, finished = ledger._find(hashes)
    return {name: last[name] for name, done in zip(names, finished, strict=True) if not done}, attempts


def _table_hashes(table: pa.Table) -> np.ndarray:
    ids = table["question_id"].to_numpy(zero_copy_only=False)
    return key_hashes(ids, table["path"].to_numpy())


def _from_hex(column: pa.ChunkedArray) -> np.ndarray:
    digits = "".join(column.to_pylist())
    return np.frombuffer(bytes.fromhex(digits), dtype=">u8").astype(np.uint64)
