"""What a `replay` teacher repeats: annotated chains, or MuSiQue's decompositions; told by the first row's fields."""

from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

from steper_ray.core.types import Question
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


def coverage_line(recorded: Collection[str], questions: Sequence[Question]) -> str:
    """How many questions have a recording, and how many recordings have no question; a warning where one has none.

    Args:
        recorded: ids of the questions recorded.
        questions: those that are asked.
    """
    asked = {question.id for question in questions}
    covered = len(asked.intersection(recorded))
    idle = len(recorded) - covered
    without = len(asked) - covered
    told = f"recordings cover {covered:,} of {len(asked):,} questions"
    if idle:
        told += f"; {idle:,} {'belongs' if idle == 1 else 'belong'} to no question that is asked"
    if not without:
        return f"note: {told}"
    return f"warning: {told}; {without:,} will fail as no_recording"
