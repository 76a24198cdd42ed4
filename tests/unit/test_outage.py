"""Questions while a service is out wait and are asked again; what fails outside of an outage is their own failure."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from steper_ray.core.types import FailureKind
from steper_ray.drive.outage import FIRST_PAUSE_S, IN_A_ROW, LONGEST_PAUSE_S, UNPROVEN_S, Outage
from steper_ray.errors import BackendError, EnvironmentFault


class World:
    """A clock that sleeping moves on, and a service that is down until a time."""

    def __init__(
        self, patience_s: float = 3600, kind: FailureKind = FailureKind.ENDPOINT, timeouts: bool = True
    ) -> None:
        self.now, self.up_at, self.kind = 0.0, 0.0, kind
        self.asked: list[tuple[float, str]] = []
        self.outage = Outage(patience_s, timeouts=timeouts, clock=lambda: self.now, sleep=self._sleep)
        self._asleep = 0
        self._open = 0

    async def _sleep(self, seconds: float) -> None:
        """One second passes once all who are left have gone to sleep."""
        self._asleep += 1
        if self._asleep >= self._open:
            self._asleep = 0
            self.now += seconds
        await asyncio.sleep(0)

    def ask(self, name: str) -> Callable[[], Awaitable[str]]:
        async def asking() -> str:
            self.asked.append((self.now, name))
            await asyncio.sleep(0)
            if self.now < self.up_at or name.startswith("bad"):
                raise BackendError(self.kind, f"no answer for {name}")
            return name

        return asking

    async def outlast(self, *names: str) -> list[str | BaseException]:
        async def one(name: str) -> str:
            self._open += 1
            try:
                return await self.outage.outlast(self.ask(name))
            finally:
                self._open -= 1

        return await asyncio.gather(*map(one, names), return_exceptions=True)


def failed(results: list[str | BaseException]) -> int:
    return sum(isinstance(result, BackendError) for result in results)


async def test_a_long_outage_costs_seven_questions_and_the_others_are_asked_again() -> None:
    world = World()
    assert await world.outlast("q") == ["q"]
    world.asked.clear()
    world.up_at = 1000.0
    results = await world.outlast(*(f"q{number}" for number in range(64)))
    assert failed(results) == IN_A_ROW - 1
    assert sum(isinstance(result, str) for result in results) == 64 - 7
    # All at once at first; then one at a time, after 15, 30, 60 … seconds, up to five minutes.
    times = [when for when, _ in world.asked]
    assert times[:64] == [0.0] * 64
    probes = [when for when in times[64:] if when < 1000]
    assert probes == [15.0, 45.0, 105.0, 225.0, 465.0, 765.0]
    assert FIRST_PAUSE_S == 15
    assert LONGEST_PAUSE_S == 300
    assert times[64 + len(probes)] == 1065.0
    assert not world.outage.on


async def test_what_fails_while_others_get_through_is_a_failure_at_once() -> None:
    world = World()
    for number in range(20):
        assert failed(await world.outlast(f"bad{number}")) == 1
        assert await world.outlast(f"q{number}") == [f"q{number}"]
    assert world.now == 0.0
    assert len(world.asked) == 40


async def test_an_outage_beyond_the_patience_ends_the_run_with_the_last_words() -> None:
    world = World(patience_s=100)
    world.up_at = 10**9
    *failures, end = await world.outlast(*(f"q{number}" for number in range(8)))
    assert failed(failures) == 7
    # The eighth probes after 10, 20, 40 and 80 s; the last of these is beyond the patience.
    assert [when for when, _ in world.asked][8:] == [10.0, 30.0, 70.0, 150.0]
    assert isinstance(end, EnvironmentFault)
    assert str(end).startswith("no question got through for 150 s, 12 failed in a row; the last: no answer for q7")


async def test_where_no_question_ever_got_through_the_run_ends_after_ten_minutes() -> None:
    world = World()
    world.up_at = 10**9
    *failures, end = await world.outlast(*(f"q{number}" for number in range(8)))
    assert failed(failures) == 7
    assert isinstance(end, EnvironmentFault)
    assert world.now == 15 + 30 + 60 + 120 + 240 + 300
    assert UNPROVEN_S == 600


async def test_waits_in_vain_for_an_engine_of_ones_own_are_no_outage() -> None:
    world = World(kind=FailureKind.TIMEOUT, timeouts=False)
    assert failed(await world.outlast(*(f"bad{number}" for number in range(20)))) == 20


async def test_questions_refused_for_what_they_are_make_no_outage() -> None:
    world = World(kind=FailureKind.REFUSED)
    results = await world.outlast(*(f"bad{number}" for number in range(20)))
    assert failed(results) == 20
    assert not world.outage.on


@pytest.mark.parametrize("kind", [FailureKind.RETRIEVER, FailureKind.TIMEOUT])
async def test_searches_and_waits_in_vain_count_as_well(kind: FailureKind) -> None:
    world = World(kind=kind)
    world.up_at = 10.0
    assert failed(await world.outlast(*(f"q{number}" for number in range(16)))) == IN_A_ROW - 1
    assert world.now == 15.0


async def test_one_that_was_under_way_all_along_and_gets_through_ends_the_outage() -> None:
    world, late = World(), asyncio.Event()

    async def slow() -> str:
        await late.wait()
        return "slow"

    straggler = asyncio.create_task(world.outage.outlast(slow))
    await asyncio.sleep(0)
    assert failed(await world.outlast(*(f"bad{number}" for number in range(7)))) == 7
    held = asyncio.create_task(world.outlast("bad7"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert world.outage.on
    late.set()
    assert await straggler == "slow"
    assert not world.outage.on
    # It is asked once more, now that others get through, and fails on its own.
    assert failed(await held) == 1


async def test_a_probe_that_is_cancelled_lets_another_probe() -> None:
    world = World()
    world.up_at = 1.0
    assert failed(await world.outlast(*(f"q{number}" for number in range(7)))) == 7
    held = asyncio.create_task(world.outlast("q7"))
    while world.now < 15:
        await asyncio.sleep(0)
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    assert await world.outlast("q8") == ["q8"]
