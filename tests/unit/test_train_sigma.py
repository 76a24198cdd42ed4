"""Learned σ: moves by its closed form, rests where its stage is absent, stays within the limits."""

import math

import torch

from steper_ray.core.loss import LOG_SIGMA_LIMIT
from steper_ray.train.sigma import StageSigmas

CPU = torch.device("cpu")
PRESENT, NO_EXPANSION = torch.ones(3), torch.tensor([1.0, 0.0, 1.0])


def test_sigma_moves_towards_the_root_of_its_loss() -> None:
    sigmas = StageSigmas(5e-2, CPU)
    for _ in range(200):
        sigmas.step(torch.tensor([4.0, 1.0, 0.25]), PRESENT)
    torch.testing.assert_close(sigmas.log_sigma.exp(), torch.tensor([2.0, 1.0, 0.5]), rtol=1e-2, atol=1e-2)


def test_the_first_step_is_the_learning_rate_in_the_gradients_direction() -> None:
    sigmas = StageSigmas(1e-2, CPU)
    sigmas.step(torch.tensor([4.0, 1.0, 0.25]), PRESENT)  # gradients −3, 0, 0.75
    torch.testing.assert_close(sigmas.log_sigma, torch.tensor([0.01, 0.0, -0.01]), rtol=1e-4, atol=1e-6)


def test_an_absent_stages_sigma_rests_despite_its_momentum() -> None:
    sigmas = StageSigmas(1e-2, CPU)
    for _ in range(3):
        sigmas.step(torch.full((3,), 4.0), PRESENT)
    before = sigmas.log_sigma
    sigmas.step(torch.tensor([4.0, 0.0, 4.0]), NO_EXPANSION)
    moved = (sigmas.log_sigma - before).tolist()
    assert moved[1] == 0.0
    assert moved[0] > 0
    assert moved[2] > 0


def test_sigma_stays_within_the_limits() -> None:
    sigmas = StageSigmas(1.0, CPU)
    for _ in range(20):
        sigmas.step(torch.tensor([1e9, 1e-9, 1.0]), PRESENT)
    assert sigmas.log_sigma.abs().max() <= LOG_SIGMA_LIMIT
    assert sigmas.log_sigma[0] == LOG_SIGMA_LIMIT


def test_a_fixed_sigma_stays_one() -> None:
    sigmas = StageSigmas(None, CPU)
    sigmas.step(torch.tensor([9.0, 9.0, 9.0]), PRESENT)
    assert sigmas.log_sigma.tolist() == [0, 0, 0]


def test_a_restored_sigma_goes_on_as_if_it_had_never_stopped() -> None:
    one = StageSigmas(1e-2, CPU)
    for _ in range(5):
        one.step(torch.tensor([3.0, 0.0, 0.1]), NO_EXPANSION)
    two = StageSigmas(1e-2, CPU)
    two.load_state_dict(one.state_dict())
    for sigmas in (one, two):
        sigmas.step(torch.tensor([2.0, 2.0, 2.0]), PRESENT)
    assert one.log_sigma.tolist() == two.log_sigma.tolist()
    assert math.isfinite(float(one.log_sigma.sum()))
