"""The plan: every unit once per epoch, whatever the number of ranks; held out by question."""

import math
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from steper_ray.train.order import Order, Traits, batches
from steper_ray.train.plan import Plan, PlannedUpdate, held_out_questions, make_plan

CALM = settings(deadline=None)

lengths_of_units = st.lists(st.integers(1, 120), min_size=1, max_size=40)


def plan_of(lengths: list[int], **changes: object) -> Plan:
    values: dict[str, object] = {"seed": 0, "epochs": 2, "batch": 4, "pack_tokens": 100, "held_out_share": 0.2}
    questions = [f"q{number // 2}" for number in range(len(lengths))]
    return make_plan(lengths, questions, **{**values, **changes})  # type: ignore[arg-type]


@CALM
@given(lengths_of_units, st.integers(0, 5))
def test_each_unit_is_trained_once_per_epoch_or_left_out_for_a_reason(lengths: list[int], seed: int) -> None:
    plan = plan_of(lengths, seed=seed)
    assert sorted([*plan.trained, *plan.held_out, *plan.too_long]) == list(range(len(lengths)))
    assert all(lengths[number] > 100 for number in plan.too_long)
    for epoch in range(2):
        seen = [unit for update in plan.updates() if update.epoch == epoch for pack in update.packs for unit in pack]
        assert sorted(seen) == list(plan.trained)


@CALM
@given(lengths_of_units, st.integers(1, 5))
def test_the_ranks_together_run_each_pack_once_and_make_equally_many_passes(lengths: list[int], size: int) -> None:
    for update in plan_of(lengths).updates():
        passes = [update.passes(rank, size) for rank in range(size)]
        assert len({len(mine) for mine in passes}) == 1
        run = Counter(pack for mine in passes for pack in mine if pack)
        assert run == Counter(update.packs)


def test_pack_i_goes_to_rank_i_mod_size_and_missing_ones_are_empty() -> None:
    update = PlannedUpdate(1, 0, ((7,), (8,), (9,)))
    assert update.passes(0, 2) == [(7,), (9,)]
    assert update.passes(1, 2) == [(8,), ()]
    assert update.passes(2, 4) == [(9,)]
    assert update.passes(3, 4) == [()]


@CALM
@given(lengths_of_units, st.integers(0, 30))
def test_updates_can_be_resumed_after_any_of_them(lengths: list[int], after: int) -> None:
    plan = plan_of(lengths)
    assert list(plan.updates(after)) == list(plan.updates())[after:]
    assert [update.number for update in plan.updates()] == list(range(1, plan.size + 1))


@CALM
@given(lengths_of_units)
def test_packs_keep_the_budget_and_updates_the_batch(lengths: list[int]) -> None:
    plan = plan_of(lengths)
    for update in plan.updates():
        assert all(sum(lengths[unit] for unit in pack) <= 100 for pack in update.packs)
        assert 0 < sum(len(pack) for pack in update.packs) <= 4


def test_the_limit_ends_the_plan_early() -> None:
    plan = plan_of([10] * 20, limit=3, held_out_share=0)
    assert plan.size == 3
    assert [update.number for update in plan.updates()] == [1, 2, 3]
    assert plan_of([10] * 20, limit=300, held_out_share=0).size == 10


def test_epochs_and_seeds_have_their_own_order() -> None:
    def order(plan: Plan, epoch: int) -> list[frozenset[int]]:
        return [frozenset(u for pack in up.packs for u in pack) for up in plan.updates() if up.epoch == epoch]

    plan = plan_of([10] * 40)
    assert order(plan, 0) != order(plan, 1)
    assert order(plan, 0) == order(plan_of([10] * 40), 0)
    assert order(plan, 0) != order(plan_of([10] * 40, seed=1, held_out_share=0.2), 0)


@CALM
@given(st.sets(st.integers(), min_size=2, max_size=60), st.floats(0.01, 1), st.integers(0, 3))
def test_held_out_questions_are_some_but_never_all(numbers: set[int], share: float, seed: int) -> None:
    questions = [f"q{number}" for number in numbers]
    held_out = held_out_questions(questions, share, seed)
    assert 1 <= len(held_out) < len(questions)
    assert abs(len(held_out) - share * len(questions)) <= 1


def test_all_units_of_a_question_are_on_one_side() -> None:
    plan = plan_of([10] * 40)
    assert not {number // 2 for number in plan.trained} & {number // 2 for number in plan.held_out}
    assert len(plan.held_out) == 8


def test_held_out_samples_are_looked_at_every_so_often_at_the_end_of_each_epoch_and_at_last() -> None:
    # 20 units in batches of 4 are 5 updates per epoch.
    plan = plan_of([10] * 20, epochs=3, limit=13, held_out_share=0)
    assert [number for number in range(1, 14) if plan.is_scored(number, every=4)] == [4, 5, 8, 10, 12, 13]


def test_nothing_is_held_out_of_one_question_or_for_no_share() -> None:
    assert held_out_questions(["q", "q"], 0.5, 0) == frozenset()
    assert held_out_questions(["q", "r"], 0.0, 0) == frozenset()


def test_a_model_of_short_context_drops_what_a_pack_could_hold() -> None:
    assert plan_of([10, 60, 90], longest=50, held_out_share=0).too_long == (1, 2)


def test_units_the_preset_does_not_train_are_in_no_list() -> None:
    plan = plan_of([10, 10, 10], usable=[True, False, True], held_out_share=0)
    assert (plan.trained, plan.held_out, plan.too_long) == ((0, 2), (), ())


KINDS = [(2,), (0, 2), (0, 1, 2)]
traits_of_units = st.lists(
    st.builds(Traits, st.sampled_from(KINDS), st.integers(1, 5), st.integers(0, 20)), min_size=1, max_size=60
)


@CALM
@given(traits_of_units, st.sampled_from(Order), st.integers(1, 9), st.integers(0, 3))
def test_every_order_is_a_permutation_cut_into_batches(
    traits: list[Traits], order: Order, batch: int, seed: int
) -> None:
    found = batches(range(len(traits)), traits, order, batch, random.Random(seed))
    assert sorted(unit for units in found for unit in units) == list(range(len(traits)))
    assert len(found) == math.ceil(len(traits) / batch)
    assert all(0 < len(units) <= batch for units in found)


@CALM
@given(traits_of_units, st.integers(1, 9), st.integers(0, 3))
def test_balance_brings_a_stage_that_enough_units_have_into_each_update(
    traits: list[Traits], batch: int, seed: int
) -> None:
    found = batches(range(len(traits)), traits, Order.BALANCED, batch, random.Random(seed))
    for stage in range(3):
        if sum(stage in unit.stages for unit in traits) >= len(found):
            assert all(any(stage in traits[unit].stages for unit in units) for units in found)


def test_balance_of_single_samples_deals_each_stage_evenly() -> None:
    traits = [Traits((0,))] * 4 + [Traits((1,))] * 8 + [Traits((2,))] * 4
    for units in batches(range(16), traits, Order.BALANCED, 4, random.Random(0)):
        assert sorted(traits[unit].stages[0] for unit in units) == [0, 1, 1, 2]


def test_the_curriculum_begins_with_short_chains_and_few_passages() -> None:
    traits = [Traits((2,), steps, passages) for steps, passages in [(3, 4), (1, 9), (2, 8), (1, 2), (2, 3)]]
    assert batches(range(5), traits, Order.CURRICULUM, 2, random.Random(0)) == [[3, 1], [4, 2], [0]]
    alike = [Traits((2,), 1, 1)] * 30
    first, second = (batches(range(30), alike, Order.CURRICULUM, 30, random.Random(seed)) for seed in (0, 1))
    assert first != second


def test_the_plan_keeps_its_order_for_every_epoch_and_resumes_in_it() -> None:
    traits = [Traits((2,), 1 + number % 3, 0) for number in range(30)]
    plan = plan_of([10] * 30, order=Order.CURRICULUM, traits=traits, held_out_share=0, batch=10)
    for update in plan.updates():
        steps = {traits[unit].steps for pack in update.packs for unit in pack}
        assert steps == {(update.number - 1) % 3 + 1}
    assert list(plan.updates(after=4)) == list(plan.updates())[4:]
