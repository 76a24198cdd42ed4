"""The checklist of an epoch, over series made by hand."""

import math
from typing import Any

import pytest

from steper_ray.core.loss import LOG_SIGMA_LIMIT
from steper_ray.train.checklist import HIGHEST, LOWEST, REMEDIES, EpochWatch, StageCheck, Verdict, check_epoch


def journal(losses: list[float | None], sigmas: list[float] | None = None, epoch: int = 0) -> list[dict[str, Any]]:
    first = epoch * len(losses) + 1
    return [
        {"update": number, "epoch": epoch, "total": 1.0, "L_agg": loss, "sigma_agg": sigma}
        for number, (loss, sigma) in enumerate(zip(losses, sigmas or [1.0] * len(losses), strict=True), start=first)
    ]


def verdict(*lines: dict[str, Any], epoch: int = 0) -> Verdict:
    (check,) = check_epoch(lines, epoch, ["agg"])
    return check.verdict


NOISE = [0.01, -0.01, 0.02, -0.02, 0.0, 0.01, -0.01, 0.0, 0.0]


def test_a_loss_that_falls_within_the_first_epoch_is_falling() -> None:
    assert verdict(*journal([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])) is Verdict.FALLING


def test_a_loss_that_stays_is_flat() -> None:
    assert verdict(*journal([0.5 + noise for noise in NOISE])) is Verdict.FLAT


def test_later_epochs_are_held_against_the_end_of_the_one_before() -> None:
    # The second epoch falls within itself, but from 0.8 to where the first one ended.
    first, second = [1.0, 0.9, 0.8, 0.7, 0.5, 0.5], [0.8, 0.7, 0.6, 0.5, 0.5, 0.5]
    assert verdict(*journal(first), *journal(second, epoch=1), epoch=1) is Verdict.FLAT
    assert verdict(*journal(first), *journal([loss / 2 for loss in second], epoch=1), epoch=1) is Verdict.FALLING


def test_a_loss_that_rises_beyond_its_noise_is_diverging() -> None:
    assert verdict(*journal([0.5, 0.5, 0.5, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2])) is Verdict.DIVERGING


def test_a_noisy_loss_is_not_taken_for_one_that_diverges() -> None:
    # Means 0.5 and 0.6, but single updates lie between 0.1 and 1.1.
    assert verdict(*journal([0.1, 0.9, 0.5, 0.5, 0.5, 0.5, 0.1, 1.1, 0.6])) is Verdict.FLAT


def test_a_loss_that_is_no_number_is_diverging_however_early() -> None:
    assert verdict(*journal([0.5, math.inf])) is Verdict.DIVERGING
    assert verdict(*journal([0.5, math.nan])) is Verdict.DIVERGING


def test_a_few_updates_say_nothing() -> None:
    assert verdict(*journal([1.0, 0.8, 0.6, 0.4, 0.2])) is Verdict.TOO_EARLY


def test_a_sigma_far_from_its_rest_that_does_not_move_is_stuck() -> None:
    # √L is 0.5; σ stays at 0.999 and so is 100 % off.
    losses: list[float | None] = [0.25] * 6
    assert verdict(*journal(losses, [0.9999, 0.999, 0.999, 0.999, 0.999, 0.999])) is Verdict.SIGMA_STUCK
    assert verdict(*journal(losses, [0.99, 0.95, 0.9, 0.85, 0.8, 0.75])) is Verdict.FLAT
    assert verdict(*journal(losses, [0.5] * 6)) is Verdict.FLAT


def test_a_sigma_that_is_held_at_one_is_not_stuck() -> None:
    assert verdict(*journal([0.25] * 6, [1.0] * 6)) is Verdict.FLAT


def test_a_sigma_at_its_limit_is_at_rest() -> None:
    assert verdict(*journal([0.0001] * 6, [LOWEST] * 6)) is Verdict.FLAT
    assert pytest.approx((-LOG_SIGMA_LIMIT, LOG_SIGMA_LIMIT)) == (math.log(LOWEST), math.log(HIGHEST))


def test_a_stage_in_fewer_than_a_quarter_of_the_updates_is_starved() -> None:
    assert verdict(*journal([0.5, None, None, None, None])) is Verdict.STARVED
    assert verdict(*journal([0.5, None, None, None])) is Verdict.TOO_EARLY
    (check,) = check_epoch(journal([None, None]), 0, ["agg"])
    assert (check.loss, check.accuracy, check.verdict) == (None, None, Verdict.STARVED)


def test_the_line_says_loss_sigma_accuracy_and_what_to_do() -> None:
    assert str(StageCheck("agg", 0.25, 0.6, 0.913, Verdict.FALLING)) == (
        "agg: loss 0.250, √L 0.500, σ 0.600, token accuracy 91.3%: falling"
    )
    assert str(StageCheck("exp", None, 1.0, None, Verdict.STARVED)).startswith("exp: no loss, σ 1.000: stage starved (")
    assert set(REMEDIES) == {Verdict.DIVERGING, Verdict.SIGMA_STUCK, Verdict.STARVED}


def test_the_accuracy_is_that_of_the_epochs_end_or_says_after_which_update_it_was() -> None:
    lines = [{"update": 0, "epoch": 0, "held_out": {"accuracy_agg": 0.25}}, *journal([0.5] * 6)]
    (check,) = check_epoch(lines, 0, ["agg"])
    assert (check.accuracy, check.scored_at) == (0.25, 0)
    assert "token accuracy 25.0% (after update 0): flat" in str(check)
    lines.append({"update": 6, "epoch": 0, "held_out": {"accuracy_agg": 0.75}})
    (check,) = check_epoch(lines, 0, ["agg"])
    assert (check.accuracy, check.scored_at) == (0.75, None)
    assert "token accuracy 75.0%: flat" in str(check)


# Lines as they come


def test_an_epoch_is_told_once_when_the_next_begins_and_the_last_at_the_end() -> None:
    watch = EpochWatch(["agg"])
    first, second = journal([0.5] * 6), journal([0.4] * 6, epoch=1)
    assert watch.note(first) == []
    held_out = {"update": 6, "epoch": 0, "held_out": {"accuracy_agg": 0.75, "selection": 0.5}}
    (told,) = watch.note([held_out, second[0]])
    assert told == "epoch 1, agg: loss 0.500, √L 0.707, σ 1.000, token accuracy 75.0%: flat"
    assert watch.note(second[1:]) == []
    (told,) = watch.end()
    assert told.startswith("epoch 2, agg: loss 0.400")
    assert watch.end() == []


def test_a_rewound_journal_repeats_no_epoch_and_its_old_lines_do_not_count() -> None:
    watch = EpochWatch(["agg"])
    watch.note([*journal([0.5] * 6), *journal([9.0] * 6, epoch=1)])
    again = [*journal([0.5] * 6), *journal([0.4] * 6, epoch=1)]
    assert watch.note(again) == []
    (told,) = watch.end()
    assert "loss 0.400" in told


def test_without_an_update_there_is_nothing_to_tell() -> None:
    assert EpochWatch(["agg"]).end() == []
