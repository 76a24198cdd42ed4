"""Lines of JSON, and figures where no Ray collects them."""

import json
from pathlib import Path

import pytest

from steper_ray.core.types import (
    Failure,
    FailureKind,
    Passage,
    Question,
    Step,
    StopReason,
    Trajectory,
    Usage,
)
from steper_ray.drive.load import Load
from steper_ray.drive.log import MOST_FAILURES, LoopLog
from steper_ray.drive.meters import LoopMeters
from steper_ray.drive.stats import LoopStats
from steper_ray.telemetry.instruments import Instruments
from steper_ray.telemetry.log import Level, line, log_path, open_log, read_log
from steper_ray.telemetry.metrics import QUESTIONS, Kind, Metric
from steper_ray.telemetry.origin import Origin
from steper_ray.train.telling import PART, Telling


def test_a_line_begins_with_time_level_run_phase_and_event() -> None:
    found = json.loads(line(Origin("train", "mine"), "held_out", Level.WARNING, update=3, text="σ\n"))
    assert list(found) == ["time", "level", "run", "phase", "event", "update", "text"]
    assert found.pop("time")[10] == "T"
    assert found == {
        "level": "warning",
        "run": "mine",
        "phase": "train",
        "event": "held_out",
        "update": 3,
        "text": "σ\n",
    }
    assert "\n" not in line(Origin(), "x", text="a\nb")


def test_the_log_lies_beside_the_phases_folder_and_names_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "generate"
    open_log(folder, "generate").tell("one")
    open_log(folder, "generate").tell("two", Level.ERROR, n=2)
    assert log_path(folder) == tmp_path / "mine" / "log" / "generate.jsonl"
    assert [(found["run"], found["event"], found["level"]) for found in read_log(folder)] == [
        ("mine", "one", "info"),
        ("mine", "two", "error"),
    ]
    assert not folder.exists()
    assert read_log(tmp_path / "mine" / "train") == []


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "train"
    open_log(folder, "train").tell("one")
    with log_path(folder).open("a") as file:
        file.write('{"event": "tw')
    assert [found["event"] for found in read_log(folder)] == ["one"]


def test_a_line_separator_in_a_message_does_not_end_the_line(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "train"
    open_log(folder, "train").tell("one", message="over\u2028two lines")
    assert [found["message"] for found in read_log(folder)] == ["over\u2028two lines"]


def test_a_log_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log").write_text("a file where the folder should be")
    open_log(tmp_path / "run" / "train", "train").tell("one")
    assert read_log(tmp_path / "run" / "train") == []


def test_a_run_of_the_loop_tells_its_failures_deaths_and_end(tmp_path: Path) -> None:
    folder, stats = tmp_path / "run" / "generate", LoopStats(asked=9, left=7)

    def work() -> None:
        with LoopLog(folder, "generate", stats) as log:
            log.worked(0, 0)
            log.worked(0, 0)
            log.failed(Failure("q1", 2, "h", FailureKind.ENGINE, "it died"), attempt=3)
            log.worked(0, 2)
            log.worked(1, 1)  # died before its first lease came back
            stats.failed[FailureKind.ENGINE] += 1
            raise ZeroDivisionError("none")

    with pytest.raises(ZeroDivisionError):
        work()
    lines = read_log(folder)
    assert [found["event"] for found in lines] == [
        "phase_started",
        "engine_works",
        "question_failed",
        "engine_restarted",
        "engine_works",
        "engine_restarted",
        "phase_failed",
    ]
    assert (lines[0]["asked"], lines[0]["left"]) == (9, 7)
    failed = lines[2]
    assert (failed["question_id"], failed["path"], failed["attempt"], failed["kind"], failed["message"]) == (
        "q1",
        2,
        3,
        "engine",
        "it died",
    )
    assert (lines[3]["engine"], lines[3]["restarts"]) == (0, 2)
    assert (lines[-1]["level"], lines[-1]["error"], lines[-1]["message"]) == ("error", "ZeroDivisionError", "none")
    assert lines[-1]["failed"] == {"engine": 1}


@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (None, "phase_finished", "info"),
        (OSError("full"), "phase_failed", "error"),
        (SystemExit(15), "phase_stopped", "warning"),
        (KeyboardInterrupt(), "phase_stopped", "warning"),
    ],
)
def test_the_last_line_says_how_a_phase_ended(
    tmp_path: Path, error: BaseException | None, event: str, level: str
) -> None:
    open_log(tmp_path / "run" / "train", "train").ended(error, seconds=1.5)
    [found] = read_log(tmp_path / "run" / "train")
    assert (found["event"], found["level"], found["seconds"]) == (event, level, 1.5)


def test_failures_without_end_do_not_fill_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "generate"
    with LoopLog(folder, "generate", LoopStats()) as log:
        for number in range(MOST_FAILURES + 5):
            log.failed(Failure(f"q{number}", 0, "h", FailureKind.TIMEOUT, "late"), attempt=1)
        log.failed(Failure("other", 0, "h", FailureKind.ENGINE, "died"), attempt=1)
    events = [(found["event"], found.get("kind")) for found in read_log(folder)]
    assert events.count(("question_failed", "timeout")) == MOST_FAILURES
    assert events.count(("failures_no_longer_told", "timeout")) == 1
    assert events.count(("question_failed", "engine")) == 1


def test_a_training_tells_starts_evaluations_and_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "train"
    telling = Telling(folder)
    telling.began(0, 72, 2)
    telling.line({"update": 0, "epoch": 0, "held_out": {"L_init": 1.5, "accuracy_init": 0.5, "selection": 1.5}})
    telling.line(
        {"update": 1, "epoch": 0, "total": -0.5, "lr": 1e-3, "grad_norm": 2.0, "tokens": 90, "target_tokens": 30}
        | {f"L_{term}": None for term in ("init", "exp", "agg")}
        | {f"sigma_{term}": 1.0 for term in ("init", "exp", "agg")}
        | {"tokens_per_s": 45.0, "peak_share": 0.25, "workers": 2}
    )
    telling.saved(1, 0.25)
    telling.began(1, 72, 1)
    lines = read_log(folder, PART)
    assert [(found["event"], found["level"]) for found in lines] == [
        ("workers_started", "info"),
        ("held_out", "info"),
        ("checkpoint_written", "info"),
        ("workers_resumed", "warning"),
    ]
    assert lines[1]["selection"] == 1.5
    assert (lines[3]["after"], lines[3]["workers"]) == (1, 1)
    assert read_log(folder) == []  # the driver's own


def test_figures_are_taken_without_a_ray_that_collects_them() -> None:
    meters = LoopMeters(Origin("generate", "mine"))
    meters.engine_started(1)
    step = Step("query", ("p",), (Passage("p", "T", "t"),), "So.", usage=Usage(9, 4, 3, 0.5), search_seconds=0.1)
    meters.step(step)
    meters.finished(Trajectory(Question("q", "Why?"), 0, (step,), "So", StopReason.ANSWERED))
    meters.finished(Trajectory(Question("q", "Why?"), 0, (step,)))
    meters.failed(FailureKind.ENGINE)
    meters.searched(True)
    meters.searched(False)
    meters.in_flight(3, 0)
    meters.in_flight(3)
    meters.load(Load(1.0, 2.5, 4))


def test_a_run_may_have_any_name() -> None:
    LoopMeters(Origin("generate", "정답 2")).failed(FailureKind.ENGINE)


def test_a_label_that_is_missing_is_our_own_mistake() -> None:
    instruments = Instruments({"phase": "generate", "run": "mine"}).add([QUESTIONS])
    with pytest.raises(ValueError, match="outcome"):
        instruments.count(QUESTIONS)


@pytest.mark.parametrize(
    ("kind", "series"),
    [
        (Kind.COUNTER, ("ray_steper_x_total",)),
        (Kind.GAUGE, ("ray_steper_x",)),
        (Kind.HISTOGRAM, ("ray_steper_x_bucket", "ray_steper_x_sum", "ray_steper_x_count")),
    ],
)
def test_the_exported_names_are_known(kind: Kind, series: tuple[str, ...]) -> None:
    assert Metric("steper_x", kind, "1", "a thing").series == series
