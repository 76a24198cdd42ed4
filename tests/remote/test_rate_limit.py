"""Start times of requests under limits, on a clock of the test's own."""

import asyncio

import pytest

from steper_ray.backends.rate_limit import RateLimit


class Clock:
    """Time that passes only where someone sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def limit(requests: float | None = None, tokens: float | None = None) -> tuple[RateLimit, Clock]:
    clock = Clock()
    return RateLimit(requests, tokens, clock=clock, sleep=clock.sleep), clock


def test_without_limits_nobody_waits() -> None:
    free, _ = limit()
    assert [free.reserve(10**6) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_thirty_requests_per_minute_start_two_seconds_apart() -> None:
    free, clock = limit(requests=30)
    assert [free.reserve(1) for _ in range(3)] == [0.0, 2.0, 4.0]
    clock.now += 3
    assert free.reserve(1) == 3.0  # its turn is at 6
    clock.now += 100
    assert free.reserve(1) == 0.0


def test_a_request_keeps_others_waiting_for_its_tokens() -> None:
    free, _ = limit(tokens=6000)  # 100 a second
    assert [free.reserve(tokens) for tokens in (250, 50, 100)] == [0.0, 2.5, 3.0]


def test_the_narrower_of_both_limits_counts() -> None:
    free, _ = limit(requests=60, tokens=600)  # a request a second, 10 tokens a second
    assert [free.reserve(tokens) for tokens in (5, 30, 5, 5)] == [0.0, 1.0, 4.0, 5.0]


def test_no_minute_starts_more_than_the_limit_even_after_a_pause() -> None:
    free, clock = limit(requests=10)
    clock.now += 3600
    begun = clock.now
    starts = [clock.now + free.reserve(1) - begun for _ in range(25)]
    assert sum(start < 60 for start in starts) == 10
    assert sum(60 <= start < 120 for start in starts) == 10


def test_an_estimate_is_corrected_by_what_was_used() -> None:
    free, _ = limit(tokens=600)
    free.reserve(100)
    free.settle(100, 40)
    assert free.reserve(20) == 4.0
    free.settle(20, 30)
    assert free.reserve(1) == 7.0


def test_a_service_that_asks_to_wait_is_left_alone() -> None:
    free, clock = limit()
    free.hold(20)
    assert free.reserve(1) == 20.0
    free.hold(5)
    assert free.reserve(1) == 20.0
    clock.now += 30
    assert free.reserve(1) == 0.0


async def test_waiting_takes_the_time_until_the_turn() -> None:
    free, clock = limit(requests=30)
    for _ in range(4):
        await free.wait(1)
    assert clock.now == 1006.0


async def test_a_cancelled_wait_gives_its_tokens_back() -> None:
    clock = Clock()
    free = RateLimit(None, 600, clock=clock, sleep=lambda seconds: asyncio.sleep(3600))
    await free.wait(100)
    waiting = asyncio.create_task(free.wait(500))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert free.reserve(1) == 10.0
