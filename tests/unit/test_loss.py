"""The StepER loss: values by hand, identities, and its closed-form gradient."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steper_ray.core.loss import (
    LOG_SIGMA_LIMIT,
    PRESETS,
    StageReduction,
    log_sigma_gradient,
    optimal_log_sigma,
    stage_means,
    sum_weights,
    total_loss,
)
from steper_ray.core.types import Stage

CALM = settings(deadline=None)

positive = st.floats(0.01, 20)
log_sigmas = st.lists(st.floats(-2, 2), min_size=3, max_size=3)
presence = st.lists(st.integers(0, 50), min_size=3, max_size=3)


def tensor(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_stage_means_are_sums_over_counts_and_zero_for_an_absent_stage() -> None:
    assert stage_means(tensor([6, 0, 10]), tensor([3, 0, 4])).tolist() == [2.0, 0.0, 2.5]


def test_the_total_by_hand() -> None:
    # σ = 1, 2, ½: 2/2 + 0, 4/8 + ln 2, 1/(2/4) − ln 2
    total = total_loss(tensor([2, 4, 1]), tensor([1, 1, 1]), tensor([0, math.log(2), -math.log(2)]))
    assert float(total) == pytest.approx(1 + (0.5 + math.log(2)) + (2 - math.log(2)))


def test_an_absent_stage_contributes_neither_loss_nor_log_sigma() -> None:
    total = total_loss(tensor([2, 0, 1]), tensor([5, 0, 5]), tensor([0, 2.5, 0]))
    assert float(total) == pytest.approx(2 / 2 + 1 / 2)


def test_one_stage_alone_with_sigma_one_is_half_the_plain_cross_entropy() -> None:
    logits, targets = torch.randn(7, 11, dtype=torch.float64), torch.arange(7)
    plain = torch.nn.functional.cross_entropy(logits, targets)
    summed = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    counts = tensor([0, 0, 7])
    means = stage_means(torch.stack([0 * summed, 0 * summed, summed]), counts)
    assert float(total_loss(means, counts, torch.zeros(3))) == pytest.approx(float(plain) / 2)


@CALM
@given(positive)
def test_at_the_optimum_sigma_squared_is_the_loss(loss: float) -> None:
    best = optimal_log_sigma(loss)
    assert math.exp(2 * best) == pytest.approx(loss)
    counts = tensor([1, 0, 0])
    at_best = float(total_loss(tensor([loss, 0, 0]), counts, tensor([best, 0, 0])))
    for shift in (-0.01, 0.01):
        assert float(total_loss(tensor([loss, 0, 0]), counts, tensor([best + shift, 0, 0]))) > at_best
    assert float(log_sigma_gradient(tensor([loss, 0, 0]), counts, tensor([best, 0, 0]))[0]) == pytest.approx(
        0, abs=1e-9
    )


def test_the_total_is_negative_at_the_optimum_of_a_small_loss() -> None:
    # L = e^-2, log σ = -1: ½ − 1
    assert float(total_loss(tensor([math.exp(-2), 0, 0]), tensor([1, 0, 0]), tensor([-1, 0, 0]))) == pytest.approx(-0.5)


@CALM
@given(st.lists(positive, min_size=3, max_size=3), presence, log_sigmas)
def test_the_closed_form_gradient_is_autograds(losses: list[float], counts: list[int], log_sigma: list[float]) -> None:
    parameter = tensor(log_sigma).requires_grad_()
    total_loss(tensor(losses), tensor(counts), parameter).backward()
    assert parameter.grad is not None
    torch.testing.assert_close(log_sigma_gradient(tensor(losses), tensor(counts), tensor(log_sigma)), parameter.grad)


@CALM
@given(st.lists(positive, min_size=3, max_size=3), presence, log_sigmas)
def test_weighted_sums_have_the_gradient_of_the_total(
    sums: list[float], counts: list[int], log_sigma: list[float]
) -> None:
    weighed = tensor(sums).requires_grad_()
    total_loss(stage_means(weighed, tensor(counts)), tensor(counts), tensor(log_sigma)).backward()
    assert weighed.grad is not None
    torch.testing.assert_close(sum_weights(tensor(counts), tensor(log_sigma)), weighed.grad)


@CALM
@given(st.floats(0, 1e9))
def test_the_optimum_stays_within_the_limits(loss: float) -> None:
    assert abs(optimal_log_sigma(loss)) <= LOG_SIGMA_LIMIT


def test_the_presets_are_those_of_the_design() -> None:
    assert set(PRESETS) == {"steper", "multitask", "vanilla_kd", "paper"}
    assert PRESETS["paper"].reduction is StageReduction.SAMPLE
    assert PRESETS["vanilla_kd"].stages == (Stage.AGGREGATION,)
    assert {name for name, preset in PRESETS.items() if preset.learned_sigma} == {"steper", "paper"}
