"""The store of tokenised units and the journal: what is written is what is read."""

from pathlib import Path

import numpy as np
import pytest

from steper_ray.core.types import Stage
from steper_ray.student.units import Segment, Unit
from steper_ray.train.journal import METRICS_FILE, Journal, read_journal
from steper_ray.train.order import Traits
from steper_ray.train.store import open_units, units_table, write_units


def unit(name: str, length: int) -> Unit:
    segments = (Segment(f"{name}#1", Stage.INITIALIZATION, 1, 2), Segment(f"{name}#2", Stage.AGGREGATION, 2, length))
    return Unit(name, f"question of {name}", np.arange(length, dtype=np.int32), segments, steps=2, passages=length)


def test_units_come_back_by_number_in_the_order_of_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "units.arrow"
    write_units(path, [units_table([unit("c", 5), unit("a", 3)]), units_table([unit("b", 4)])])
    with open_units(path) as store:
        assert len(store) == 3
        assert [store[number].id for number in range(3)] == ["a", "b", "c"]
        assert store.lengths == [3, 4, 5]
        assert store.stages == [[0, 2]] * 3
        assert store.target_tokens() == [2, 3, 4]  # 1 and length - 2
        assert store.question_ids[2] == "question of c"
        assert store[2].token_ids.tolist() == [0, 1, 2, 3, 4]
        assert store[2].segments == unit("c", 5).segments
        assert (store[2].steps, store[2].passages) == (2, 5)
        assert store.traits == [Traits((0, 2), 2, passages) for passages in (3, 4, 5)]


def test_a_file_that_could_not_be_finished_does_not_appear(tmp_path: Path) -> None:
    def tables():  # type: ignore[no-untyped-def]
        yield units_table([unit("a", 3)])
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_units(tmp_path / "units.arrow", tables())
    assert list(tmp_path.iterdir()) == []


def test_the_journal_forgets_what_will_be_done_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for update in (1, 2, 3, 4):
        journal.write({"update": update})
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write('{"update": 5, "to')  # the writer was killed here
    assert [line["update"] for line in read_journal(tmp_path)] == [1, 2, 3, 4]
    journal.rewind(2)
    journal.write({"update": 3})
    assert [line["update"] for line in read_journal(tmp_path)] == [1, 2, 3]


def test_a_rank_that_does_not_write_leaves_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writes=False)
    journal.write({"update": 1})
    journal.rewind(0)
    assert read_journal(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
