"""`steper status`: what a run folder tells of its phases, their pace and health, and the command that comes next."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.cli import main
from steper_ray.core.duration import duration
from steper_ray.data.schemas import FAILURES, QUESTIONS, TRAJECTORIES
from steper_ray.drive.lock import Holder, holder_of, sole_writer
from steper_ray.runs import Manifest, write_manifest
from steper_ray.status.cluster import ray_of, show_cluster, view
from steper_ray.status.health import course, failing, silence, worth_another_try
from steper_ray.status.phase import Progress, State, state_of
from steper_ray.status.questions import Part, pace, questions_progress, usual_gap
from steper_ray.status.run import following, read_status
from steper_ray.status.show import show
from steper_ray.status.updates import seconds_per_update

NOW = 2_000_000_000.0


def write_part(path: Path, schema: pa.Schema, rows: Sequence[dict[str, Any]], written: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    full = [{name: row.get(name) for name in schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(full, schema), path)
    os.utime(path, (written, written))


def keys(first: int, count: int) -> list[dict[str, Any]]:
    return [{"question_id": f"q{number}", "path": 0} for number in range(first, first + count)]


def failures(numbers: Sequence[int], kind: str, attempt: int = 1) -> list[dict[str, Any]]:
    return [{"question_id": f"q{number}", "path": 0, "attempt": attempt, "kind": kind} for number in numbers]


def journal(folder: Path, updates: int, written: float, **more: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {"update": number, "total": 1.5, "tokens": 300, "tokens_per_s": 100.0, **more}
        for number in range(1, updates + 1)
    ]
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.utime(path, (written, written))


def half_done(run: Path) -> Path:
    """100 questions from an earlier execution; of 300 of this one 100 are finished and 10 failed."""
    folder = run / "generate"
    write_part(folder / "trajectories" / "part-1.parquet", TRAJECTORIES, keys(0, 100), NOW - 5000)
    write_part(folder / "work.parquet", QUESTIONS, keys(100, 300), NOW - 400)
    write_part(folder / "trajectories" / "part-2.parquet", TRAJECTORIES, keys(100, 50), NOW - 200)
    write_part(folder / "trajectories" / "part-3.parquet", TRAJECTORIES, keys(150, 50), NOW - 100)
    write_part(folder / "failures" / "part-1.parquet", FAILURES, failures(range(200, 210), "timeout"), NOW - 100)
    (folder / "config.json").write_text("{}")
    (folder / ".command").write_text("steper generate a.yaml\n")
    return folder


def test_questions_are_counted_over_executions_and_the_pace_is_that_of_this_one(tmp_path: Path) -> None:
    found = questions_progress(half_done(tmp_path), NOW)
    assert (found.done, found.total) == (210, 400)
    # 60 rows in the 200 s since the first part of this execution.
    assert found.per_s == pytest.approx(0.3)
    assert found.left_s == pytest.approx(190 / 0.3)
    assert found.failed == {"timeout": 10}
    assert found.last_sign == NOW - 100


def test_a_failure_that_was_mended_since_is_none_and_the_last_attempt_counts(tmp_path: Path) -> None:
    write_part(tmp_path / "trajectories" / "part-1.parquet", TRAJECTORIES, keys(0, 5), NOW)
    write_part(tmp_path / "failures" / "part-1.parquet", FAILURES, failures([4, 7, 8], "timeout"), NOW)
    write_part(tmp_path / "failures" / "part-2.parquet", FAILURES, failures([7], "engine", 2), NOW)
    found = questions_progress(tmp_path, NOW)
    assert found.failed == {"engine": 1, "timeout": 1}
    assert (found.done, found.total) == (7, None)


def test_one_part_says_nothing_about_the_pace_and_two_nothing_about_the_gap_between_parts() -> None:
    assert pace([Part(NOW - 10, 5)], NOW, 0.0) is None
    assert pace([Part(NOW - 700, 5), Part(NOW - 10, 5)], NOW, 0.0) is None
    assert pace([Part(NOW - 50, 99), Part(NOW - 25, 10)], NOW, 0.0) == pytest.approx(0.2)
    assert usual_gap([Part(1, 1), Part(2, 1)]) is None
    assert usual_gap([Part(10, 1), Part(40, 1), Part(20, 1)]) == 15


def test_a_broken_part_that_is_just_being_replaced_is_left_out(tmp_path: Path) -> None:
    write_part(tmp_path / "trajectories" / "part-1.parquet", TRAJECTORIES, keys(0, 5), NOW)
    (tmp_path / "trajectories" / "part-2.parquet").write_bytes(b"PAR1")
    assert questions_progress(tmp_path, NOW).done == 5


@pytest.mark.parametrize(
    ("exists", "finished", "alive", "quiet_s", "state"),
    [
        (True, True, True, 0.0, State.RUNNING),
        (True, True, False, 0.0, State.FINISHED),
        (True, False, False, 0.0, State.STOPPED),
        (True, False, None, 60.0, State.RUNNING),
        (True, False, None, 1800.0, State.STOPPED),
        (False, False, False, 0.0, State.NOT_BEGUN),
    ],
)
def test_a_phase_runs_while_its_lock_is_held_or_without_locks_while_it_writes(
    exists: bool, finished: bool, alive: bool | None, quiet_s: float, state: State
) -> None:
    holder = Holder("node1", 7, NOW, alive)
    assert state_of(exists=exists, finished=finished, holder=holder, quiet_s=quiet_s) is state


def test_the_holder_of_a_lock_is_known_while_it_lives_and_afterwards(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None
    with sole_writer(tmp_path):
        held = holder_of(tmp_path)
        assert held is not None
        assert (held.pid, held.alive) == (os.getpid(), True)
    left = holder_of(tmp_path)
    assert left is not None
    assert left.alive is False
    with sole_writer(tmp_path):  # to look takes no lock along
        pass


def test_silence_is_judged_by_the_usual_pace() -> None:
    assert silence(Progress("updates", last_sign=NOW - 720), NOW) == ["no update for 12 min"]
    assert silence(Progress("updates", last_sign=NOW - 720, usual_s=60.0), NOW) == []
    assert silence(Progress("updates", last_sign=NOW - 500), NOW) == []
    assert silence(Progress("updates"), NOW) == []


def test_more_failures_than_one_in_twenty_are_told_with_their_kinds() -> None:
    kinds = {"timeout": 1, "prompt_too_long": 8}
    assert failing(Progress("questions", done=100, failed=kinds)) == [
        "9% of questions failed: prompt_too_long, timeout"
    ]
    assert failing(Progress("questions", done=180, failed=kinds)) == []
    assert failing(Progress("questions", done=19, failed=kinds)) == []
    assert worth_another_try(Progress("questions", failed=kinds)) == [
        "1 failed for a transient reason; the same command tries them again"
    ]
    assert worth_another_try(Progress("questions", failed={"prompt_too_long": 8, "kind of the future": 2})) == []


def test_the_course_of_a_training_shows_nan_missing_workers_and_a_rise_on_held_out_samples() -> None:
    scored = [{"update": number, "held_out": {"selection": loss}} for number, loss in ((0, 3.0), (10, 1.0), (20, 1.3))]
    assert course([*scored[:2], {"update": 20, "total": float("nan"), "workers": 1}], 2) == [
        "the loss of update 20 is nan",
        "works with 1 of 2 workers",
    ]
    assert course(scored, None) == ["held-out loss 1.300 after update 20, it was 1.000 after update 10"]
    assert course([{"update": 1, "total": -2.0}], 2) == []


def test_seconds_per_update_are_the_median_of_the_last_ones() -> None:
    lines = [{"tokens": 100, "tokens_per_s": speed} for speed in (100.0, 50.0, 1.0)]
    assert seconds_per_update(lines) == 2.0
    assert seconds_per_update([]) is None


def test_a_run_that_was_killed_says_how_far_it_is_and_which_command_continues(tmp_path: Path) -> None:
    half_done(tmp_path)
    (tmp_path / "index").mkdir()
    # NOW is 03:33:20.
    write_manifest(tmp_path / "index", Manifest("index", "f", {"passages": 3}, written="2033-05-18T03:31:20Z"))
    text = show(read_status(tmp_path, NOW), NOW)
    assert text.splitlines() == [
        str(tmp_path),
        "  index     finished               3 passages · 2 min ago",
        "  generate  stopped in the middle  210 of 400 questions (52%) · failed: 10 timeout · "
        "last sign of life 100 s ago",
        "  samples   not begun",
        "  train     not begun",
        "  evaluate  not begun",
        "  report    not begun",
        "next: steper generate a.yaml",
    ]


def test_why_a_phase_stopped_is_told_when_it_could_still_say_so(tmp_path: Path) -> None:
    half_done(tmp_path)
    (tmp_path / "postmortem").mkdir()
    kept = tmp_path / "postmortem" / "20330518T033320Z-generate-7.txt"
    kept.write_text("PhaseFailed: engine 0 died\nphase: generate\n")
    os.utime(kept, (NOW - 500, NOW - 500))  # of an earlier execution
    assert "    ! PhaseFailed: engine 0 died" not in show(read_status(tmp_path, NOW), NOW)
    os.utime(kept, (NOW - 50, NOW - 50))
    assert "    ! PhaseFailed: engine 0 died" in show(read_status(tmp_path, NOW), NOW)


def test_a_training_under_way_shows_pace_checkpoint_and_who_is_at_it(tmp_path: Path) -> None:
    train = tmp_path / "train"
    journal(train, 10, NOW - 3)
    (train / "plan.json").write_text('{"updates": 40}')
    (train / "config.json").write_text('{"train": {"workers": 2}}')
    (train / "identity.json").write_text("{}")
    with sole_writer(train):
        os.utime(train / ".lock", (NOW - 60, NOW - 60))
        (line, last) = show(read_status(train, NOW), NOW).splitlines()[1:]
    host = os.uname().nodename
    assert line == (
        "  train  running  10 of 40 updates (25%) · 3.0 s each · about 90 s left · loss 1.500 · "
        f"process {os.getpid()} on {host} for 60 s · last sign of life 3 s ago"
    )
    assert last == "next: nothing; it runs"


def test_a_journal_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    journal(tmp_path / "train", 2, NOW)
    (tmp_path / "train" / "metrics.jsonl").write_text("not json\n")
    (tmp_path / "train" / "identity.json").write_text("{}")
    (tmp_path / "train" / "config.json").write_text("{}")
    assert f"    ! {tmp_path / 'train' / 'metrics.jsonl'} cannot be read" in show(read_status(tmp_path, NOW), NOW)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("steper generate 'a b.yaml' x.y=1 --limit 5 z.w=2", "steper train 'a b.yaml' x.y=1 z.w=2"),
        (
            "ray job submit --working-dir . -- python jobs/generate.py a.yaml",
            "ray job submit --working-dir . -- python jobs/train.py a.yaml",
        ),
        ("python -m steper_ray.cli index --sample=3 x.y=1", "python -m steper_ray.cli train x.y=1"),
        ("steper demo --folder x", "steper train with the settings of the phases before it"),
    ],
)
def test_the_next_phase_takes_the_settings_of_the_one_before_and_not_its_flags(command: str, expected: str) -> None:
    assert following([command], "train") == expected
    assert shlex.split(expected)


def test_a_pipeline_is_continued_as_a_whole(tmp_path: Path) -> None:
    half_done(tmp_path)
    (tmp_path / ".command").write_text("steper pipeline a.yaml\n")
    assert read_status(tmp_path, NOW).next == "steper pipeline a.yaml"
    with sole_writer(tmp_path):
        status = read_status(tmp_path, NOW)
    assert status.next == "nothing; it runs"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7200.0, "2 h 0 min"),
        (7500.0, "2 h 5 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_a_duration_has_two_parts_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path / "absent")]) == 2
    assert main(["status", str(tmp_path)]) == 2
    assert main(["status", "ftp://x/y"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 3
    assert "absent is no folder; name a run folder" in told[0]
    assert "there is no phase of a run in" in told[1]
    assert "found 'ftp://x/y'" in told[2]


def test_machines_get_the_same_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half_done(tmp_path)
    assert main(["status", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (generate,) = [phase for phase in told["runs"][0]["phases"] if phase["name"] == "generate"]
    assert (generate["state"], generate["progress"]["done"]) == ("stopped in the middle", 210)
    assert told["clusters"] == []


def test_a_published_folder_is_whole_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, uri = tmp_path / "index", f"file://{tmp_path}/published"
    folder.mkdir()
    write_manifest(folder, Manifest("index", "f", {"passages": 3}, written="2033-05-18T03:31:20Z"))
    assert main(["status", uri]) == 2
    assert main(["publish", str(folder), uri]) == 0
    capsys.readouterr()
    assert main(["status", uri]) == 0
    assert "published, whole: index of 2033-05-18T03:31:20Z, 1 files" in capsys.readouterr().out


def test_a_cluster_tells_lost_nodes_what_waits_and_which_actors_die() -> None:
    actors = [
        {"ActorClassName": "MapWorker", "State": "ALIVE", "NumRestarts": 2},
        {"ActorClassName": "MapWorker", "State": "RESTARTING", "NumRestarts": 1},
        {"ActorClassName": "Foreman", "State": "ALIVE", "NumRestarts": 0},
        {"ActorClassName": "RetrieverActor", "State": "DEAD", "NumRestarts": 9},
    ]
    found = view(
        "1.2.3.4:6379", [True, True, False], {"CPU": (3.0, 8.0), "memory": (1, 2)}, [({"GPU": 4.0}, 2)], actors
    )
    assert show_cluster(found).splitlines() == [
        "Ray at 1.2.3.4:6379",
        "  2 nodes alive · 1 lost · 3 of 8 CPU in use · 2 actors alive · 1 actors restarting",
        "    ! waits for room: 2 × 4 GPU",
        "    ! MapWorker was restarted 3 times",
    ]


def test_the_ray_of_a_process_is_found_among_its_descendants_alone(tmp_path: Path) -> None:
    processes = [(5, 1, "steper"), (6, 5, "sh"), (7, 6, "raylet\0--gcs-address=h:9"), (8, 1, "x\0--gcs-address=h:1")]
    for pid, parent, words in processes:
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_text(words)
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) name) S {parent} 0")
    assert ray_of(5, tmp_path) == "h:9"
    assert ray_of(9, tmp_path) == ""


def test_looking_at_a_run_needs_neither_ray_nor_torch() -> None:
    code = "import sys, steper_ray.status.run, steper_ray.status.show, steper_ray.status.cluster\n"
    code += "print([name for name in ('ray', 'torch', 'pandas', 'vllm') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("address", "code", "told"),
    [
        ("127.0.0.1:1", 3, "the cluster at 127.0.0.1:1 does not answer: .*refused. Correct --cluster"),
        ("auto", 2, "--cluster is HOST:PORT of a Ray cluster's head, as in ray.address; found 'auto'"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_at_once(
    address: str, code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half_done(tmp_path)
    assert main(["status", str(tmp_path), "--cluster", address]) == code
    assert re.search(told, capsys.readouterr().err)
