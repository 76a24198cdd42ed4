"""Counts of floating-point operations, against numbers worked out by hand."""

import pytest

from steper_ray.student.flops import ModelSize, flops_of, update_flops

SIZE = ModelSize(body=100, head=30, layers=2, hidden=4)


def test_the_usual_count_by_hand() -> None:
    # 6 · 10 · 5 tokens = 300; attention 12 · 2 · 4 · (3² + 2²) / 2 = 624.
    assert flops_of(10, 2, 4, [3, 2]) == 300 + 624


def test_units_do_not_pay_for_each_other() -> None:
    # One unit of 5 has 25 pairs, units of 3 and 2 have 13: 12 · 2 · 4 · 12 / 2 = 576 more.
    assert flops_of(10, 2, 4, [5]) - flops_of(10, 2, 4, [3, 2]) == 576


def test_no_units_cost_nothing() -> None:
    assert flops_of(10, 2, 4, []) == 0


def test_the_head_counts_at_target_tokens_alone() -> None:
    # 6 · (100 · 5 + 30 · 2) = 3,360, attention as above.
    assert update_flops(SIZE, [3, 2], target_tokens=2) == 3360 + 624


def test_with_all_tokens_as_targets_both_counts_agree() -> None:
    assert update_flops(SIZE, [3, 2], target_tokens=5) == flops_of(130, 2, 4, [3, 2])


def test_frozen_weights_need_no_gradient_of_their_own() -> None:
    # 4 · 560 = 2,240; adapter 6 · 7 · 5 = 210; attention's backward pass is whole: 624.
    assert update_flops(SIZE, [3, 2], target_tokens=2, adapter=7) == 2240 + 210 + 624


def test_a_model_of_8_billion_weights_at_2000_tokens() -> None:
    # 6 · 8e9 · 2000 = 9.6e13; attention 12 · 32 · 4096 · 4e6 / 2 = 3.1457e12.
    assert flops_of(8_000_000_000, 32, 4096, [2000]) == pytest.approx(9.6e13 + 3.145728e12)
