"""What a dry run says of the whole is arithmetic."""

import pytest

from steper_ray.generate.dry_run import Sampled, estimate

FOUND = Sampled(
    trajectories=20,
    correct=12,
    prompt_tokens=40_000,
    cached_tokens=10_000,
    completion_tokens=2_000,
    seconds=360.0,
    bytes=2**20,
    at_once=20,
)


def test_tokens_disk_and_cost_grow_with_the_number_of_questions() -> None:
    whole = estimate(FOUND, keys=100_000, at_once=80, prices=(0.5, 2.0))
    assert whole.prompt_tokens == 200_000_000
    assert whole.computed_tokens == 150_000_000
    assert whole.completion_tokens == 10_000_000
    assert whole.cost == pytest.approx(100 + 20)
    assert whole.gib == pytest.approx(5000 / 1024)


def test_hours_lie_between_a_full_engine_that_is_as_quick_and_one_that_gains_nothing() -> None:
    whole = estimate(FOUND, keys=100_000, at_once=80, prices=(None, None))
    # 18 s of work per question: 500 hours one by one.
    assert whole.hours_least == pytest.approx(500 / 80)
    assert whole.hours_most == pytest.approx(500 / 20)
    assert whole.cost is None


def test_one_price_is_enough_and_nothing_left_takes_nothing() -> None:
    assert estimate(FOUND, 20, 80, (None, 3.0)).cost == pytest.approx(0.006)
    nothing = estimate(FOUND, 0, 80, (1.0, 1.0))
    assert (nothing.hours_most, nothing.cost, nothing.gib) == (0, 0, 0)


def test_a_run_of_fewer_at_once_than_the_dry_run_is_not_promised_to_be_quicker() -> None:
    whole = estimate(FOUND, keys=1000, at_once=4, prices=(None, None))
    assert whole.hours_least == whole.hours_most
