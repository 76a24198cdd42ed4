"""Finished questions reach the driver before their lease, and each counts once."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from steper_ray.drive.foreman import Foreman, Start
from steper_ray.drive.intake import Intake
from steper_ray.drive.tray import MOST, Teller, Told, Tray, pause_s
from steper_ray.drive.writer import PartWriter
from steper_ray.errors import PhaseFailed


def told(lease: int, row: int, said: str = "early") -> Told:
    return Told(lease, row, json.dumps({"at": [lease, row], "said": said}))


def brought(lease: int, *rows: int) -> list[tuple[int, str]]:
    """What a lease brings."""
    return [(row, told(lease, row, "late").result) for row in rows]


class Taken:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.said: list[tuple[int, int, str]] = []

    def __call__(self, result: dict[str, Any]) -> None:
        lease, row = result["at"]
        self.said.append((lease, row, result["said"]))


def test_a_question_counts_once_whether_it_comes_early_or_with_its_lease() -> None:
    taken = Taken()
    intake = Intake(taken)
    intake.early([told(7, 2), told(8, 0)])
    intake.early([told(7, 2)])  # of an engine that was given up and lives on
    intake.lease(7, brought(7, 0, 1, 2))
    assert taken.said == [(7, 2, "early"), (8, 0, "early"), (7, 0, "late"), (7, 1, "late")]


def test_what_is_told_after_its_lease_came_is_known_already() -> None:
    taken = Taken()
    intake = Intake(taken)
    intake.lease(3, brought(3, 0))
    intake.early([told(3, 0)])
    assert taken.said == [(3, 0, "late")]
    assert intake.news() == ([], [3])


def test_a_failure_that_a_lease_brings_for_a_question_told_of_before_is_left_out() -> None:
    taken = Taken()
    intake = Intake(taken)
    intake.early([told(3, 1)])
    intake.lease(3, [(1, json.dumps({"failure": {"kind": "engine"}}))])
    assert taken.said == [(3, 1, "early")]


def test_the_driver_tells_what_it_got_early_and_which_leases_ended_once() -> None:
    intake = Intake(Taken())
    intake.early([told(1, 0), told(1, 3)])
    intake.lease(2, brought(2, 0, 1))
    assert intake.news() == ([(1, 0), (1, 3)], [2])
    assert intake.news() == ([], [])


def test_two_threads_never_take_the_same_question_twice() -> None:
    taken = Taken()
    intake = Intake(taken)
    leases, rows = range(200), range(8)

    def early() -> None:
        for lease in leases:
            intake.early([told(lease, row) for row in rows])

    thread = threading.Thread(target=early)
    thread.start()
    for lease in leases:
        intake.lease(lease, brought(lease, *rows))
    thread.join()
    assert sorted((lease, row) for lease, row, _ in taken.said) == [(lease, row) for lease in leases for row in rows]


def test_a_disk_that_has_no_room_for_an_early_result_ends_the_run_with_the_next_lease(tmp_path: Path) -> None:
    schema = pa.schema([("at", pa.list_(pa.int64())), ("said", pa.string())])
    parts = tmp_path / "parts"
    with PartWriter(parts, schema, rows=1, seconds=float("inf")) as writer:
        intake = Intake(writer.add)
        parts.rename(tmp_path / "gone")
        for act in (lambda: intake.early([told(5, 0)]), lambda: intake.lease(5, brought(5, 0, 1))):
            with pytest.raises(PhaseFailed, match="cannot write"):
                act()
        (tmp_path / "gone").rename(parts)
    # Room was made before the end: the row that waited is kept, and is there once.
    assert [row["said"] for part in parts.glob("*.parquet") for row in pq.read_table(part).to_pylist()] == ["early"]


def test_the_tray_gives_what_lies_on_it_once_and_remembers_what_the_driver_has_of_open_leases() -> None:
    tray = Tray()
    tray.lay([told(1, 0), told(2, 5)])
    tray.lay([told(1, 4)])
    assert tray.exchange([], []) == [told(1, 0), told(2, 5), told(1, 4)]
    assert tray.exchange([], []) == []
    # Only what the driver says it has is left out by an engine that gets the lease again.
    assert tray.taken == {}
    tray.exchange([(1, 0), (1, 4), (2, 5)], [])
    assert tray.taken == {1: {0, 4}, 2: {5}}
    tray.exchange([], [1])
    assert tray.taken == {2: {5}}


def test_a_tray_that_nobody_empties_does_not_grow_without_end() -> None:
    tray = Tray()
    for row in range(3):
        tray.lay([told(row, number) for number in range(MOST // 2)])
    assert len(tray.exchange([], [])) == MOST
    tray.lay([told(9, 9)])
    assert tray.exchange([], []) == [told(9, 9)]


def test_a_finished_question_is_progress_although_its_lease_is_not_done() -> None:
    foreman = Foreman()
    foreman.begin("a")
    foreman.take("a", 4)
    foreman.begin("a")
    foreman.begin("a")
    foreman.lay("a", [told(4, 1)])
    assert foreman.exchange([(4, 1)], []) == [told(4, 1)]
    assert foreman.begin("a") == Start(0, 3)
    assert foreman.rows_taken(4) == {1}
    assert foreman.rows_taken(5) == set()


async def test_the_first_question_is_told_of_at_once_and_those_of_a_pause_together() -> None:
    calls: list[list[Told]] = []

    async def lay(told: list[Told]) -> None:
        calls.append(told)

    teller = Teller(lay, pause_s=0.2)
    teller.tell(told(1, 0))
    await called(calls, 1)
    teller.tell(told(1, 1))
    for _ in range(5):  # time enough for one that does not pause
        await asyncio.sleep(0)
    teller.tell(told(2, 0))
    await called(calls, 2)
    assert calls == [[told(1, 0)], [told(1, 1), told(2, 0)]]
    # Behind the pause, when nobody sends any more.
    await asyncio.sleep(0.3)
    teller.tell(told(3, 0))
    await called(calls, 3)
    assert calls[2:] == [[told(3, 0)]]


async def called(calls: list[list[Told]], times: int) -> None:
    """Wait for this call, at most as long as a busy machine takes."""
    async with asyncio.timeout(30):
        while len(calls) < times:
            await asyncio.sleep(0)


async def test_a_foreman_that_does_not_answer_does_not_end_the_telling() -> None:
    calls: list[list[Told]] = []

    async def lay(told: list[Told]) -> None:
        calls.append(told)
        if len(calls) == 1:
            raise ray.exceptions.RayActorError

    teller = Teller(lay, pause_s=0.01)
    teller.tell(told(1, 0))
    await called(calls, 1)
    teller.tell(told(1, 1))
    await called(calls, 2)
    assert calls == [[told(1, 0)], [told(1, 1)]]


def test_more_engines_call_less_often_so_that_one_foreman_keeps_up() -> None:
    assert pause_s(1) == pause_s(20) == 0.1
    assert pause_s(100) == 0.5
