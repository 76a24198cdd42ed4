"""Which checkpoints can be continued from, and the best evaluation."""

import json
import math
from pathlib import Path

import pytest

from steper_ray.train.checkpoint_folders import all_checkpoints, latest_checkpoint, torn_checkpoints
from steper_ray.train.selection import Selection


def checkpoint(folder: Path, update: int) -> Path:
    place = folder / "checkpoints" / f"update-{update:08d}"
    place.mkdir(parents=True)
    (place / "shard").write_bytes(b"x" * 100)
    (place / "complete").write_text(json.dumps({"update": update, "files": {"shard": 100}}))
    return place


def test_the_latest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    places = [checkpoint(tmp_path, update) for update in (9, 10, 100)]
    assert all_checkpoints(tmp_path) == places
    assert latest_checkpoint(tmp_path) == places[-1]
    assert torn_checkpoints(tmp_path) == {}


@pytest.mark.parametrize(
    ("tear", "told"),
    [
        (lambda place: (place / "complete").unlink(), "no file 'complete': its writer was interrupted"),
        (lambda place: (place / "shard").unlink(), "its file 'shard' is missing"),
        (lambda place: (place / "shard").write_bytes(b"x" * 7), "its file 'shard' has 7 bytes instead of 100"),
        (lambda place: (place / "complete").write_text('{"upd'), "its file 'complete' cannot be read"),
    ],
)
def test_a_torn_checkpoint_is_left_out_with_the_reason(tmp_path: Path, tear, told: str) -> None:  # type: ignore[no-untyped-def]
    whole, torn = checkpoint(tmp_path, 1), checkpoint(tmp_path, 2)
    tear(torn)
    assert latest_checkpoint(tmp_path) == whole
    (place, fault), *others = torn_checkpoints(tmp_path).items()
    assert (place, others) == (torn, [])
    assert told in fault


def test_the_lowest_loss_is_the_best_and_what_came_after_it_is_counted() -> None:
    selection = Selection()
    assert [selection.note(loss, update) for update, loss in enumerate([3.0, 2.0, 2.0, math.nan, 1.5, 1.6], 1)] == [
        True,
        True,
        False,
        False,
        True,
        False,
    ]
    assert (selection.loss, selection.update, selection.since) == (1.5, 5, 1)
    again = Selection()
    again.load_state_dict(selection.state_dict())
    assert again == selection
