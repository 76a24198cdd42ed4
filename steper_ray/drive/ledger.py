"""What is done and what is left: the keys already written, and the failures worth another try."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from steper_ray.core.types import FailureKind, Question
from steper_ray.data.schemas import FAILURES, part_files, read_rows
from steper_ray.errors import RunFolderError

Key = tuple[str, int]
"""Question id and path."""


@dataclass(frozen=True)
class Ledger:
    """The state of a folder of trajectories and failures."""

    finished: dict[Key, str]
    """Hash of the question's text by finished key."""
    failed: dict[Key, tuple[FailureKind, int]]
    """Kind and number of the last failed attempt, by key not finished since."""

    def left(self, work: Iterable[Key], *, retry_permanent: bool) -> list[Key]:
        """The keys still to be done: not finished, and not failed for a permanent reason."""
        return [key for key in work if key not in self.finished and (retry_permanent or not self._permanent(key))]

    def attempt(self, key: Key) -> int:
        """Number of the next attempt at this key, from 1."""
        return self.failed[key][1] + 1 if key in self.failed else 1

    def _permanent(self, key: Key) -> bool:
        return key in self.failed and not self.failed[key][0].transient


def read_ledger(trajectories: Path, failures: Path) -> Ledger:
    """Read which keys are finished or failed; only the key columns are loaded."""
    finished: dict[Key, str] = {}
    for part in part_files(trajectories):
        table = pq.read_table(part, columns=["question_id", "path", "text_hash"])
        columns = (table.column(name).to_pylist() for name in ("question_id", "path", "text_hash"))
        finished.update(((identifier, path), text) for identifier, path, text in zip(*columns, strict=True))
    failed: dict[Key, tuple[FailureKind, int]] = {}
    for row in read_rows(failures, FAILURES):
        key = (row["question_id"], row["path"])
        if key not in finished and (key not in failed or row["attempt"] >= failed[key][1]):
            failed[key] = (FailureKind(row["kind"]), row["attempt"])
    return Ledger(finished, failed)


def text_hash(question: Question) -> str:
    """A short hash of the question's text, so that another text under the same id is noticed."""
    return hashlib.sha256(question.text.encode()).hexdigest()[:16]


def check_texts(ledger: Ledger, questions: Iterable[Question], paths: int, folder: Path) -> None:
    """Refuse questions whose id was finished with another text.

    Raises:
        RunFolderError: names the question.
    """
    for question in questions:
        for path in range(paths):
            written = ledger.finished.get((question.id, path))
            if written is not None and written != text_hash(question):
                raise RunFolderError(
                    f"question {question.id!r} stands in {folder} with another text; "
                    "give the changed question a new id, or use another folder"
                )
