"""A generate folder on disk, without a teacher: real Parquet and a fingerprint; one thread for torch."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from steper_ray.core.types import Failure, FailureKind, LoopSettings, Passage, Question, Step, StopReason, Trajectory
from steper_ray.data.schemas import FAILURES, TRAJECTORIES, failure_row, trajectory_row
from steper_ray.drive.writer import PartWriter

Tell = Callable[..., Trajectory]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models of a few thousand weights gain nothing from more, and on a busy machine threads wait for each other."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tell() -> Tell:
    """A trajectory from its rationales; each step shows one passage, `gold` in the first."""

    def make(
        id: str,
        *rationales: str,
        answer: str = "Hee Haw",
        golds: Sequence[str] = ("Hee Haw",),
        path: int = 0,
        stop: StopReason = StopReason.ANSWERED,
        text: str = "Text of a passage.",
    ) -> Trajectory:
        lines = rationales or ("Roy Clark hosted it.", f"So the answer is: {answer}.")
        steps = tuple(
            Step(f"query {n}", (f"p{n}",), (Passage(f"p{n}", f"Title {n}", text, 9.5 - n),), line)
            for n, line in enumerate(lines, start=1)
        )
        question = Question(id, f"Which show is meant in {id}?", tuple(golds), "bridge", 2, ("Title 1", "Title 9"))
        return Trajectory(question, path, steps, answer, stop)

    return make


@pytest.fixture
def generation(tmp_path: Path) -> Callable[..., Path]:
    """Writes a generate folder below a run folder and returns it; every argument is a trajectory."""

    def write(
        *trajectories: Trajectory, failures: Sequence[tuple[str, FailureKind, str]] = (), per_part: int = 2
    ) -> Path:
        folder = tmp_path / "run" / "generate"
        folder.mkdir(parents=True)
        parts = {"loop": asdict(LoopSettings()), "model": {"backend": "scripted"}, "index": {"k1": 0.9}}
        (folder / "fingerprint.json").write_text(json.dumps(parts))
        provenance = {"model": "teacher-70b", "prompt_version": "0", "fingerprint": "f", "text_hash": "h"}
        with PartWriter(folder / "trajectories", TRAJECTORIES, rows=per_part, seconds=60) as writer:
            for trajectory in trajectories:
                writer.add(trajectory_row(trajectory, provenance))
        with PartWriter(folder / "failures", FAILURES, rows=9, seconds=60) as writer:
            for number, (name, kind, message) in enumerate(failures, start=1):
                writer.add(failure_row(Failure(name, 0, "h", kind, message), number))
        return folder

    return write
