"""Seconds until the next attempt."""

import pytest

from steper_ray.backends.backoff import backoff_s, retry_after_s

NOON = 1_000_000_000.0  # Sun, 09 Sep 2001 01:46:40 GMT


@pytest.mark.parametrize(("attempt", "full"), [(0, 1), (1, 2), (2, 4), (5, 32), (6, 60), (50, 60)])
def test_the_wait_doubles_up_to_a_minute_and_half_of_it_is_chance(attempt: int, full: float) -> None:
    waits = [backoff_s(attempt, {}) for _ in range(200)]
    assert full / 2 <= min(waits) < max(waits) <= full


def test_what_the_service_asks_for_is_the_least_that_is_waited() -> None:
    waits = [backoff_s(0, {"retry-after": "7"}) for _ in range(200)]
    assert 7 <= min(waits) < max(waits) <= 7.5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        ("0.5", 0.5),
        ("Sun, 09 Sep 2001 01:47:00 GMT", 20.0),
        ("Sun, 09 Sep 2001 01:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("1.2.3", None),
        ("²", None),
        ("", None),
    ],
)
def test_seconds_and_dates_are_understood_and_nonsense_is_not(value: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": value}, NOON) == seconds


def test_a_reply_that_asks_for_nothing_asks_for_nothing() -> None:
    assert retry_after_s({}, NOON) is None
