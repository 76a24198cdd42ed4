"""The live line: figures, time left, the picture beside it, and complaints of trackers told once."""

import json
from pathlib import Path
from typing import Any

import pytest

from steper_ray.train import progress as progress_module
from steper_ray.train.curves import CURVES_FILE, Curves
from steper_ray.train.journal import Journal
from steper_ray.train.progress import Pace, TrainProgress, figures, time_left


def line(update: int, **more: Any) -> dict[str, Any]:
    losses = {"L_init": 0.5, "L_exp": None, "L_agg": 0.25, "sigma_init": 0.9, "sigma_exp": 1.0, "sigma_agg": 0.8}
    return {"update": update, "epoch": 0, "total": 0.125, **losses, "lr": 5e-6, "tokens_per_s": 351.4, **more}


def test_the_figures_hold_losses_sigmas_rate_and_share_of_the_peak() -> None:
    shown = "loss 0.125 · L 0.50 – 0.25 · σ 0.90 1.00 0.80 · lr 5.0e-06 · 351 tokens/s"
    assert figures(line(1)) == shown
    assert figures(line(1, peak_share=0.413)) == f"{shown} (41% of peak)"


def test_the_time_left_is_that_of_the_updates_seen() -> None:
    pace = Pace()
    assert pace.seconds_left(10) is None
    pace.note(3, 100.0)
    assert pace.seconds_left(10) is None
    pace.note(5, 130.0)  # 15 s each, five to go
    assert pace.seconds_left(10) == 75.0


def test_updates_that_are_made_again_do_not_speed_the_pace_up() -> None:
    pace = Pace()
    for update, now in ((1, 0.0), (2, 10.0), (3, 20.0), (2, 60.0)):
        pace.note(update, now)
    # Back at update 2 after 60 s: one update in 60 s, three to go.
    assert pace.seconds_left(5) == 180.0


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, ""), (12.4, "12 s left"), (95, "2 min left"), (9000, "2.5 h left")]
)
def test_the_time_left_in_words(seconds: float | None, shown: str) -> None:
    assert time_left(seconds) == shown


def test_the_line_ends_with_the_last_update_and_leaves_a_picture(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with TrainProgress(tmp_path, 3) as progress:
        for update in (1, 2, 3):
            journal.write(line(update))
        journal.write({"update": 3, "epoch": 0, "held_out": {"L_init": 0.4, "accuracy_init": 0.9, "selection": 0.4}})
    assert progress._progress.tasks[0].completed == 3
    assert (tmp_path / CURVES_FILE).stat().st_size > 10_000


def test_where_no_terminal_looks_on_a_line_is_printed_now_and_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_LOG_EVERY_S", 0.0)
    progress = TrainProgress(tmp_path, 30)
    Journal(tmp_path).write(line(7))
    progress._show()
    progress._log()
    assert capsys.readouterr().out.startswith("train: 7 of 30 · loss 0.125 · L 0.50")


def test_a_complaint_of_a_tracker_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "trackers"
    place.mkdir()
    (place / "wandb.warning").write_text("of an earlier execution")
    progress = TrainProgress(tmp_path, 1)
    (place / "wandb.warning").write_text("tracker wandb is given up")
    with progress:
        progress._warn()
        progress._warn()
    told = capsys.readouterr().out
    assert told.count("warning: tracker wandb is given up") == 1
    assert "earlier" not in told


def test_curves_are_drawn_when_due_and_only_if_something_was_added(tmp_path: Path) -> None:
    curves, picture = Curves(tmp_path, every_s=0.0), tmp_path / CURVES_FILE
    curves._next = 0.0
    curves.refresh()
    assert not picture.exists()  # no journal yet
    Journal(tmp_path).write(line(1))
    curves._next = 0.0
    curves.refresh()
    drawn = picture.stat().st_mtime_ns
    curves.refresh(last=True)
    assert picture.stat().st_mtime_ns == drawn
    Journal(tmp_path).write(line(2))
    curves.refresh()  # not due
    assert picture.stat().st_mtime_ns == drawn
    curves.refresh(last=True)
    assert picture.stat().st_mtime_ns > drawn
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "metrics.jsonl"]


def test_a_picture_that_cannot_be_drawn_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line(1)) + "\nnonsense\n")
    Curves(tmp_path).refresh(last=True)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_an_epoch_that_ends_is_told_with_a_verdict_for_each_stage_of_the_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with TrainProgress(tmp_path, 2, ["agg"]):
        journal = Journal(tmp_path)
        for update in range(1, 7):
            journal.write(line(update, L_agg=1 / update))
    told = [text for text in capsys.readouterr().out.splitlines() if "epoch" in text]
    # The mean of 1/5 and 1/6, against that of 1 and 1/2.
    assert told == ["train: epoch 1, agg: loss 0.183, √L 0.428, σ 0.800: σ stuck (raise train.sigma_learning_rate)"]
