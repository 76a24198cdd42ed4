"""Which questions a student was trained on, known by hashes, and how many of others are among them.

The samples job writes the file into the samples folder, training copies it into the weights folder, and evaluation
reads it there.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.core.answers import normalise
from steper_ray.core.text import squeeze
from steper_ray.core.types import Question
from steper_ray.errors import RunFolderError
from steper_ray.runs import write_text

HASHES_FILE = "questions.hashes"
"""One line per question: 64 bits of its id and of its text, 16 hexadecimal digits each, sorted."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Hashes of the questions that samples were made of."""

    ids: frozenset[str]
    texts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Contamination:
    """How many questions are among those trained on."""

    questions: int
    """All that were looked at."""
    trained: int
    """Questions that training knew."""
    by_id: int
    """With the id of one of these; another data set may use the same ids."""
    by_text: int
    """With the same text: lower case, without punctuation and articles."""
    either: int
    """By id, by text, or by both."""

    def warning(self) -> str:
        """What to tell the user; empty where no question is known."""
        if not self.either:
            return ""
        return (
            f"{self.either:,} of {self.questions:,} evaluated questions occur among the {self.trained:,} that the "
            f"student's training samples were made of ({self.by_id:,} by id, {self.by_text:,} by text)"
        )


def samples_warning(held_out: Trained, trained: Trained) -> str:
    """What to tell where held-out samples were made of questions that training knew; empty where they were not."""
    by_id, by_text = len(held_out.ids & trained.ids), len(held_out.texts & trained.texts)
    if not by_id and not by_text:
        return ""
    return (
        f"the held-out samples were made of {len(held_out.ids):,} questions, of which {max(by_id, by_text):,} occur "
        f"among the {len(trained.ids):,} of the training samples ({by_id:,} by id, {by_text:,} by text): loss and "
        "token accuracy of the stages are not those of unseen questions"
    )


def told_contamination(scores: Mapping[str, Any]) -> str:
    """The warning of an evaluation that is read back, from its scores.json; empty where there is none to give."""
    try:
        return Contamination(**(scores.get("contamination") or {})).warning()
    except TypeError:  # none, or of another version
        return ""


def hash_line(question: Question) -> str:
    """The line of a question."""
    return f"{id_hash(question.id)} {question_hash(question.text)}"


def write_hashes(folder: Path, lines: Iterable[str]) -> None:
    """Write the file of a samples folder from the lines of its questions, each once."""
    write_text(folder / HASHES_FILE, "".join(f"{line}\n" for line in sorted(set(lines))))


def copy_hashes(samples: Path, weights: Path) -> bool:
    """Copy the file of a samples folder beside the weights trained on it; False where the samples have none."""
    if not (samples / HASHES_FILE).is_file():
        return False
    write_text(weights / HASHES_FILE, (samples / HASHES_FILE).read_text(encoding="ascii"))
    return True


def read_hashes(folder: Path) -> Trained | None:
    """The questions of a weights or samples folder; None where they were not written down.

    Raises:
        RunFolderError: the file is broken.
    """
    path = folder / HASHES_FILE
    try:
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        for row in rows:
            if [len(bytes.fromhex(digits)) for digits in row] != [8, 8]:
                raise ValueError(f"no two hashes of 64 bits: {' '.join(row)!r}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}; remove it, or export the weights again") from None
    return Trained(frozenset(row[0] for row in rows), frozenset(row[1] for row in rows))


def contamination(questions: Sequence[Question], trained: Trained) -> Contamination:
    """Count the questions that training knew."""
    same_id = [id_hash(question.id) in trained.ids for question in questions]
    same_text = [question_hash(question.text) in trained.texts for question in questions]
    return Contamination(
        questions=len(questions),
        trained=len(trained.ids),
        by_id=sum(same_id),
        by_text=sum(same_text),
        either=sum(is_known(question, trained) for question in questions),
    )


def is_known(question: Question, trained: Trained) -> bool:
    """Whether training knew the question, by id or by text."""
    return id_hash(question.id) in trained.ids or question_hash(question.text) in trained.texts


def id_hash(id: str) -> str:
    """64 bits of SHA-256, 16 hexadecimal digits."""
    return hashlib.sha256(f"id\n{id}".encode()).hexdigest()[:16]


def question_hash(text: str) -> str:
    """The same, of the text as answers are normalised; of a text of which nothing would be left, as it is."""
    normal = normalise(text) or squeeze(text)
    return hashlib.sha256(f"text\n{normal}".encode()).hexdigest()[:16]
