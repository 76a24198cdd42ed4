"""A generation whose questions are all finished, on a disk that is really full, at every place where that can show."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from steper_ray.backends.index_facts import IndexFacts, write_facts
from steper_ray.cli import main
from steper_ray.core.types import Passage, Question, Step, StopReason, Trajectory
from steper_ray.data.schemas import SAMPLES, TRAJECTORIES, part_files, read_rows, trajectory_row
from steper_ray.drive.ledger import text_hash
from steper_ray.drive.writer import PartWriter
from tests.small_disk import fill, small_disk

QUESTIONS = [Question(f"q{n}", f"Who is {n}?", (f"n{n}",)) for n in range(40)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4) as folder:
        yield folder


@pytest.fixture
def settings(disk: Path, tmp_path: Path) -> list[str]:
    """A run on the small disk; its questions and its index lie elsewhere."""
    write_facts(tmp_path, IndexFacts(1, "d", "en", "a", 0.9, 0.4))
    (tmp_path / "lucene").mkdir()
    rows = [{"id": one.id, "question": one.text, "golden_answers": one.golden_answers} for one in QUESTIONS]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with PartWriter(disk / "run" / "generate" / "trajectories", TRAJECTORIES, rows=99, seconds=60) as writer:
        for question in QUESTIONS:
            step = Step("q", ("p",), (Passage("p", "T", "text"),), f"So the answer is: {question.golden_answers[0]}")
            finished = Trajectory(question, 0, (step,), question.golden_answers[0], StopReason.ANSWERED)
            provenance = {"model": "m", "prompt_version": "1", "fingerprint": "f", "text_hash": text_hash(question)}
            writer.add(trajectory_row(finished, provenance))
    run = [f"run.folder={disk / 'run'}", f"index.folder={tmp_path}", "teacher.backend=scripted"]
    return [*run, f"generate.questions={tmp_path / 'q.jsonl'}"]


def kept(disk: Path) -> int:
    return sum(1 for _ in read_rows(disk / "run" / "generate" / "samples", SAMPLES))


def left_behind(disk: Path) -> list[str]:
    """What is half there."""
    files = [path for path in (disk / "run").rglob("*") if path.name != ".lock"]
    return [
        str(path)
        for path in files
        if path.name.endswith((".tmp", ".building")) or not (path.is_dir() or path.stat().st_size)
    ]


@pytest.mark.parametrize("command", ["generate", "samples"])
def test_wherever_the_disk_fills_up_the_command_says_so_and_what_was_there_stays(
    command: str, settings: list[str], disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = []
    assert main(["generate", *settings]) == 0
    before = part_files(disk / "run" / "generate" / "trajectories")
    for free in range(0, 200_000, 4096):
        fill(disk, free)
        capsys.readouterr()
        codes.append(main([command, *settings]))
        told = capsys.readouterr().err
        assert part_files(disk / "run" / "generate" / "trajectories") == before
        assert kept(disk) == 40
        if codes[-1] == 0:
            break
        assert re.search(r"^(PhaseFailed|RunFolderError): .*No space left on device", told, re.MULTILINE), (free, told)
        assert left_behind(disk) == [], free
    assert codes[0] != 0
    assert len(codes) > 4
    assert codes[-1] == 0


def test_a_disk_that_is_full_from_the_start_is_told_in_one_line(
    settings: list[str], disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(disk, 0)
    assert main(["generate", *settings]) == 2
    assert capsys.readouterr().err.startswith("RunFolderError: cannot write to ")
