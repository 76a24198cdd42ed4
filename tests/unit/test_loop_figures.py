"""What is told of a run while it goes on and at its end; values computed by hand."""

import sys
import time
from typing import Any

import pytest

from steper_ray.core.types import FailureKind, Question, Step, StopReason, Trajectory, Usage
from steper_ray.drive.load import Load, LoadMeter
from steper_ray.drive.pace import Pace
from steper_ray.drive.progress import LoopProgress
from steper_ray.drive.stats import LoopStats
from steper_ray.generate.table import correct_words, print_table
from steper_ray.generate.totals import Totals

NUMBERS = {"questions": 3, "paths": 1, "asked": 3, "finished": 3, "failed": {}}


class Clock:
    """Time that goes on when told to, for whoever reads `time.monotonic`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def row(correct: bool | None = True, steps: int = 1) -> dict[str, Any]:
    step = {
        "prompt_tokens": 100,
        "cached_tokens": 25,
        "completion_tokens": 10,
        "seconds": 2.0,
        "search_seconds": 0.5,
    }
    return {"correct": correct, "steps": [step] * steps}


def test_the_pace_is_that_of_the_last_minutes(clock: Clock) -> None:
    pace = Pace(window_s=300, clock=clock)
    assert pace.rates() is None
    pace.note(1, 50, began_s=20)
    # One of them in the 20 s since it was begun.
    assert pace.rates() == (0.05, 2.5)
    for second in range(1, 1001):
        clock.now = 1000.0 + second
        pace.note(1 + 2 * second, 50)
    assert pace.rates() == (2.0, 0.0)
    clock.now += 600
    assert pace.rates() == (0.0, 0.0)


def test_a_pace_is_not_told_before_ten_seconds_have_passed(clock: Clock) -> None:
    pace = Pace(clock=clock)
    pace.note(3)
    clock.now += 9.9
    assert pace.rates() is None
    clock.now += 0.1
    assert pace.rates() == (0.3,)


def test_time_left_goes_by_the_last_minutes_and_leaves_out_the_start_of_the_engines(clock: Clock) -> None:
    stats = LoopStats(asked=1000, left=900, clock=clock)
    clock.now += 1800  # the engines load
    for second in range(100):
        clock.now += 1
        stats.add(row(), took_s=1.0)
        assert stats.all_done == 101 + second
    assert stats.left_s == pytest.approx(800)
    assert stats.rate(stats.completion_tokens) == pytest.approx(10)
    clock.now += 3600
    assert stats.left_s is None


def test_a_line_off_the_terminal_counts_all_that_was_asked_and_tells_hours(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    stats = LoopStats(asked=50_000, left=20_000, clock=clock)
    progress = LoopProgress("generate", stats)
    clock.now += 40
    progress.show()
    stats.add(row(), took_s=20)
    stats.add(row(correct=False))
    stats.fail(FailureKind.TIMEOUT)
    clock.now += 30
    progress.show()
    silent, line = capsys.readouterr().out.splitlines()
    assert silent == "generate: 30,000 of 50,000 · 40 s, nothing is done yet"
    # Three in 50 s, so 19,997 take 333,283 s; 200 prompt tokens and 20 written ones in the same time.
    assert line == (
        "generate: 30,003 of 50,000 · 70 s, about 3 d 20 h left · 1 correct · 1 failed · "
        "tokens/s 4 in 0 out · cache 25%"
    )


def test_the_last_line_says_that_all_is_done(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    stats = LoopStats(asked=2, left=1, clock=clock)
    with LoopProgress("generate", stats):
        stats.add(row())
    assert capsys.readouterr().out == "generate: 2 of 2 · 0 s, all done · 1 correct · cache 25%\n"


def test_a_terminal_shows_a_bar_over_all_that_was_asked(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    stats = LoopStats(asked=9, left=4, clock=clock)
    progress = LoopProgress("generate", stats)
    (task,) = progress._bar.tasks
    assert (task.total, task.completed, task.fields["figures"]) == (9, 5, "engines are starting")
    stats.add(row(), took_s=0.0)
    clock.now += 20
    progress.show()
    assert task.completed == 6
    assert task.fields["figures"] == "about 60 s left · 1 correct · tokens/s 5 in 0 out · cache 25%"


def test_without_gold_answers_nobody_is_said_to_be_wrong(clock: Clock) -> None:
    stats = LoopStats(asked=9, left=9, clock=clock)
    assert stats.line() == ""
    stats.add(row(correct=None))
    assert stats.line() == "correct: not known · cache 25%"
    stats.add(row(correct=False))
    assert stats.line() == "0 correct of 1 judged · cache 25%"


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((0, 0, 40), "not known: no gold answers"),
        ((0, 40, 40), "0 (0.0%)"),
        ((30, 40, 40), "30 (75.0%)"),
        ((1500, 2000, 4000), "1,500 of 2,000 with gold answers (75.0%)"),
    ],
)
def test_the_share_that_is_right_is_of_those_whose_answer_is_known(counts: tuple[int, int, int], words: str) -> None:
    assert correct_words(*counts) == words


def totals(correct: bool | None) -> Totals:
    found = Totals(step_limit=2)
    step = Step("q", (), (), "r", usage=Usage(100, 25, 10))
    found.add(Trajectory(Question("q", "Who?"), steps=(step,), stop=StopReason.ANSWERED), correct=correct)
    return found


def test_sums_without_gold_answers_are_not_said_to_be_wrong() -> None:
    assert (totals(None).facts()["judged"], totals(None).facts()["correct"]) == (0, None)
    assert (totals(False).facts()["judged"], totals(False).facts()["correct"]) == (1, 0)
    assert (totals(True).facts()["judged"], totals(True).facts()["correct"]) == (1, 1)


def some(clock: Clock) -> LoopStats:
    """Two questions of one step that each waited 3 s for a place and took 4 s; a part was there after 25 s."""
    stats = LoopStats(
        asked=3, left=3, loads=[Load(0.0, 0.0, 8, queued_s=1.0), Load(0.0, 0.0, 8, queued_s=0.5)], clock=clock
    )
    clock.now += 20
    stats.add(row(), waited_s=3.0, took_s=4.0)
    stats.add(row(correct=False), waited_s=3.0, took_s=4.0)
    stats.writing_s, stats.first_written_s = 0.25, 25.0
    clock.now += 16
    return stats


def test_the_time_of_questions_is_told_by_where_it_went(clock: Clock) -> None:
    # Each: 2 s in the engine, of which together 1.5 s beyond its batch, 0.5 s for passages, the rest of 4 s elsewhere.
    assert some(clock).times() == {"place": 6.0, "engine_queue": 1.5, "engine": 2.5, "search": 1.0, "other": 3.0}


def test_the_file_of_figures_has_times_per_question_and_speeds_without_the_engines_start(clock: Clock) -> None:
    facts = some(clock).facts()
    assert facts["question_s"] == {"place": 3.0, "engine_queue": 0.75, "engine": 1.25, "search": 0.5, "other": 1.5}
    assert facts["first_written_s"] == 25.0
    assert facts["seconds"] == 36.0
    # 200 and 20 tokens in the 20 s since the first question entered its engine.
    assert (facts["tokens_per_s_in"], facts["tokens_per_s_out"]) == (10.0, 1.0)
    assert LoopStats().facts()["question_s"] is None


def test_the_table_has_counts_speeds_and_where_the_time_went(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(NUMBERS, totals(True), some(clock))
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    table = dict(cell for cell in cells if len(cell) == 2)
    assert table["correct"] == "1 (100.0%)"
    assert table["… found in the prefix cache"] == "25.0%"
    assert table["this execution"] == "2 in 36 s"
    assert table["first trajectory written after"] == "25 s"
    assert table["tokens/s in, out"] == "10, 1"
    assert table["a question, mean"] == "7.00 s"
    assert table["… waiting for a place at an engine"] == "3.00 s"
    assert table["… in the engine's queue"] == "0.75 s"
    assert table["… in the engine"] == "1.25 s"
    assert table["… waiting for passages"] == "0.50 s"
    assert table["writing parts, in all"] == "0.2 s"


def test_what_exceeds_an_engines_batch_waits_in_its_queue() -> None:
    now = 0.0
    meter = LoadMeter(None, clock=lambda: now, batch=2)  # type: ignore[arg-type]
    meter._requests = 5
    now = 4.0
    assert meter.take(2).queued_s == 12.0
    meter._requests = 2
    now = 9.0
    assert meter.take(2).queued_s == 0.0
    endless = LoadMeter(None, clock=lambda: now)  # type: ignore[arg-type]
    endless._requests = 5
    now = 10.0
    assert endless.take(2).queued_s == 0.0
