"""Stage balance, with numbers worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steper_ray.core.balance import stage_counts, surplus
from steper_ray.core.types import Stage


def test_samples_by_stage_follow_from_the_lengths() -> None:
    # 2 of one step: 2 agg; 1 of two: init, agg; 3 of four: 3 init, 6 exp, 3 agg.
    assert stage_counts({1: 2, 2: 1, 4: 3}) == {
        Stage.INITIALIZATION: 4,
        Stage.EXPANSION: 6,
        Stage.AGGREGATION: 6,
    }


@pytest.mark.parametrize(
    ("lengths", "share", "out"),
    [
        ({2: 10}, 0.5, {}),
        # 8 one-step and 4 three-step: agg 12 of 20. Without 4 one-step ones: 8 of 16.
        ({1: 8, 3: 4}, 0.5, {1: 4}),
        ({1: 8, 3: 4}, 0.6, {}),
        # 1 of 2 steps and 3 of 6: exp 12 of 20. Without one of 6: 8 of 14; without two: 4 of 8.
        ({2: 1, 6: 3}, 0.5, {6: 2}),
        ({2: 1, 6: 3}, 0.58, {6: 1}),
        # Nothing else would be left.
        ({1: 5}, 0.5, {}),
        ({6: 5}, 0.5, {}),
        ({}, 0.5, {}),
    ],
)
def test_trajectories_go_until_no_stage_has_more_than_its_share(
    lengths: dict[int, int], share: float, out: dict[int, int]
) -> None:
    assert surplus(lengths, share) == out


@given(st.dictionaries(st.integers(1, 8), st.integers(1, 30), max_size=5), st.floats(0.5, 1))
def test_what_stays_fits_or_is_of_one_length(lengths: dict[int, int], share: float) -> None:
    out = surplus(lengths, share)
    left = {steps: number - out.get(steps, 0) for steps, number in lengths.items()}
    assert all(number >= 0 for number in left.values())
    counts = stage_counts(left)
    one_length = sum(number > 0 for number in left.values()) <= 1
    assert one_length or max(counts.values()) <= share * sum(counts.values())
