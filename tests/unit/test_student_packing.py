"""Packs: what stands where, and that grouping keeps every unit once within the budget."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steper_ray.core.loss import StageReduction
from steper_ray.core.types import Stage
from steper_ray.student.grouping import pack_lengths
from steper_ray.student.packing import idle_pack, make_pack
from steper_ray.student.units import Segment, Unit

FIRST = Unit(
    "a",
    "qa",
    np.array([10, 11, 12, 13, 14], dtype=np.int32),
    (Segment("a1", Stage.INITIALIZATION, 2, 3), Segment("a2", Stage.AGGREGATION, 4, 5)),
)

CALM = settings(deadline=None)
SECOND = Unit("b", "qb", np.array([20, 21, 22, 23], dtype=np.int32), (Segment("b1", Stage.AGGREGATION, 1, 4),))


def test_a_pack_by_hand() -> None:
    pack = make_pack([FIRST, SECOND])
    assert pack.token_ids.tolist() == [[10, 11, 12, 13, 14, 20, 21, 22, 23]]
    assert pack.position_ids.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 3]]
    assert pack.targets.tolist() == [12, 14, 21, 22, 23]
    assert pack.places.tolist() == [1, 3, 5, 6, 7]
    assert pack.stages.tolist() == [0, 2, 2, 2, 2]
    assert pack.owners.tolist() == [0, 1, 2, 2, 2]
    assert pack.weights.tolist() == [1, 1, 1, 1, 1]
    assert pack.counts.tolist() == [1, 0, 4]
    assert [segment.sample_id for segment in pack.segments] == ["a1", "a2", "b1"]
    assert pack.tokens == 9


def test_per_sample_weights_give_every_sample_the_same_say() -> None:
    pack = make_pack([FIRST, SECOND], StageReduction.SAMPLE)
    torch.testing.assert_close(pack.weights, torch.tensor([1, 1, 1 / 3, 1 / 3, 1 / 3]))
    assert pack.counts.tolist() == [1, 0, 2]


def test_counts_are_the_sums_of_the_weights() -> None:
    for reduction in StageReduction:
        pack = make_pack([SECOND, FIRST], reduction)
        torch.testing.assert_close(torch.zeros(3).index_add(0, pack.stages, pack.weights), pack.counts)


def test_an_idle_pack_counts_nothing() -> None:
    pack = idle_pack()
    assert pack.counts.tolist() == [0, 0, 0]
    assert pack.weights.tolist() == [0]
    assert pack.tokens == 0
    assert pack.segments == ()


def test_grouping_by_hand() -> None:
    assert pack_lengths([5, 3, 4, 2], budget=7) == [[0, 3], [2, 1]]


def test_groups_are_even_where_they_can_be() -> None:
    groups = pack_lengths([4, 4, 1, 1], budget=8)
    assert [sum([4, 4, 1, 1][number] for number in group) for group in groups] == [5, 5]


@CALM
@given(st.lists(st.integers(1, 50), max_size=40), st.integers(50, 200))
def test_every_unit_is_in_one_group_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = pack_lengths(lengths, budget)
    assert sorted(number for group in groups for number in group) == list(range(len(lengths)))
    totals = [sum(lengths[number] for number in group) for group in groups]
    assert all(0 < total <= budget for total in totals)
    # At most one group is half empty in a first-fit; so there are fewer than twice as many as needed.
    assert len(groups) <= 2 * sum(lengths) / budget + 1
