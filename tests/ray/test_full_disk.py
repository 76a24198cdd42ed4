"""A generation on a disk that fills up in the middle of it, and goes on when there is room again."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from steper_ray.cli import main
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.runs import MANIFEST_FILE, read_manifest
from tests.small_disk import fill, small_disk

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.usefixtures("ray_cluster")]

QUESTIONS = 200
ROOM = 300_000
"""The file of work takes 180 kB, all trajectories take more than 230: some parts fit, never all."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 8) as folder:
        yield folder


def names(run: Path) -> list[str]:
    return [row["question_id"] for row in read_rows(run / "generate" / "trajectories", TRAJECTORIES)]


def test_a_full_disk_stops_the_job_and_with_room_the_same_command_finishes_it(
    halsey: Path, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Random text, so that no compression makes it fit.
    asked = [
        {"id": f"q{n}", "question": f"Who is {secrets.token_hex(500)}?", "golden_answers": [f"answer to q{n}"]}
        for n in range(QUESTIONS)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    run = disk / "run"
    settings = [f"run.folder={run}", f"index.folder={halsey / 'index'}", f"generate.questions={tmp_path / 'q.jsonl'}"]
    command = ["generate", *settings, "teacher.backend=scripted", "generate.flush_rows=16"]
    ballast = fill(disk, ROOM)
    assert main(command) == 1
    told = capsys.readouterr().err
    assert f"cannot write to {run / 'generate' / 'trajectories'}: " in told
    assert "No space left on device" in told
    assert "the same command continues" in told
    kept = names(run)
    assert 16 <= len(kept) < QUESTIONS
    assert not list((run / "generate").rglob("*.tmp"))
    assert not (run / "generate" / MANIFEST_FILE).exists()

    ballast.unlink()
    assert main(command) == 0
    counts = read_manifest(run / "generate", "generate", command="steper generate").counts
    assert (counts["finished"], counts["failed"], counts["not_started"]) == (QUESTIONS, {}, 0)
    assert names(run)[: len(kept)] == kept
    assert sorted(names(run)) == sorted(row["id"] for row in asked)
    assert counts["samples"] == 3 * QUESTIONS
