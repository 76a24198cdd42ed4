"""Learning rates by hand."""

import pytest

from steper_ray.train.schedule import learning_rate
from steper_ray.train.sigma import default_rate


def test_the_rate_rises_to_the_peak_and_falls_on_a_cosine() -> None:
    rates = [learning_rate(update, 10, 1.0, 0.2) for update in range(1, 11)]
    assert rates[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert rates[6] == pytest.approx(0.5)  # half way down: 4 of 8
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert 0 < rates[-1] < 0.05


def test_without_warm_up_the_first_update_has_the_peak() -> None:
    assert learning_rate(1, 5, 3e-4, 0.0) == 3e-4


def test_a_single_update_is_not_wasted() -> None:
    assert learning_rate(1, 1, 1.0, 0.05) == 1.0
    assert learning_rate(1, 1, 1.0, 1.0) == 1.0


def test_sigma_is_faster_in_short_trainings() -> None:
    assert default_rate(999) == 1e-2
    assert default_rate(1000) == 1e-3
