import json
import math
from pathlib import Path
from typing import Any

import pytest

from steper_ray.config import load_config
from steper_ray.core.loss import LOG_SIGMA_LIMIT
from steper_ray.curves.history import HeldOut, read_history
from steper_ray.curves.smoothing import reach_for, smooth
from steper_ray.errors import InputError, RunFolderError
from steper_ray.report.convergence import LARGEST_SIGMA, SMALLEST_SIGMA, convergence
from steper_ray.report.run import report
from steper_ray.report.words import verdict, weights_in_words

Losses = tuple[float | None, float | None, float | None]


# Convergence


def test_a_sigma_that_lies_at_the_root_of_its_loss_has_converged() -> None:
    end = convergence([0.5] * 30, [0.25] * 30)
    assert end.rest == 0.5
    assert end.gap == 0.0
    assert end.drift == 0.0
    assert end.reached


def test_a_sigma_far_from_its_root_has_not_converged() -> None:
    end = convergence([0.6] * 30, [0.25] * 30)
    assert end.gap == pytest.approx(0.2)
    assert not end.reached


def test_a_sigma_that_still_moves_has_not_converged_even_at_its_root() -> None:
    # The last third of 30 runs from 0.70 down to 0.52 in steps of 0.02: a change of −0.18 against 0.52.
    sigmas = [0.7] * 20 + [0.70 - 0.02 * step for step in range(10)]
    end = convergence(sigmas, [0.52**2] * 30)
    assert end.drift == pytest.approx(-0.18 / 0.52)
    assert end.gap == pytest.approx(0.0)
    assert not end.reached


def test_only_the_last_third_of_the_losses_counts() -> None:
    assert convergence([0.5] * 30, [9.0] * 20 + [0.25] * 10).rest == 0.5


def test_a_few_updates_prove_nothing() -> None:
    assert not convergence([0.5] * 11, [0.25] * 11).reached
    assert convergence([0.5] * 12, [0.25] * 12).reached


def test_a_loss_of_nearly_nothing_holds_sigma_at_its_limit() -> None:
    assert convergence([SMALLEST_SIGMA] * 30, [0.0] * 30).reached
    assert pytest.approx((-LOG_SIGMA_LIMIT, LOG_SIGMA_LIMIT)) == (math.log(SMALLEST_SIGMA), math.log(LARGEST_SIGMA))


# Smoothing


def test_smoothing_takes_the_mean_of_the_neighbours_there_are() -> None:
    # Means of (1, 2), (1, 2, 6), (2, 6, 4), (6, 4).
    assert smooth([1.0, 2.0, 6.0, 4.0], reach=1) == [1.5, 3.0, 4.0, 5.0]


def test_smoothing_leaves_nothing_and_one_value_alone() -> None:
    assert smooth([], reach=3) == []
    assert smooth([2.0], reach=3) == [2.0]
    assert (reach_for(1), reach_for(100), reach_for(1000)) == (1, 4, 40)


# History


def test_a_stage_that_is_absent_from_an_update_leaves_a_gap(tmp_path: Path) -> None:
    _write(tmp_path, [_update(1, (0.5, None, 0.2)), _update(2, (0.4, 0.9, 0.1))])
    history = read_history(tmp_path)
    assert history.terms == ["init", "exp", "agg"]
    assert history.losses("exp") == ([2], [0.9])
    assert history.sigmas("exp") == ([1, 2], [1.0, 1.0])


def test_held_out_lines_are_kept_apart_and_a_repeated_update_counts_once(tmp_path: Path) -> None:
    held_out = {"update": 1, "held_out": {"L_init": 0.3, "accuracy_init": 0.75, "selection": 0.3}}
    _write(tmp_path, [_update(1, (0.5, None, None)), held_out, _update(1, (0.4, None, None))])
    history = read_history(tmp_path)
    assert [update.losses["init"] for update in history.updates] == [0.4]
    assert history.held_out == [HeldOut(1, {"init": 0.3}, {"init": 0.75})]


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    _write(tmp_path, [_update(1, (0.5, 0.5, 0.5))])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"update": 2, "L_in')
    assert len(read_history(tmp_path).updates) == 1


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps(_update(1, (1.0, 1.0, 1.0))) + "\nnonsense\n")
    with pytest.raises(InputError, match=r"metrics\.jsonl, line 2: not JSON"):
        read_history(tmp_path)


def test_without_a_training_the_message_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="run `steper train` first"):
        report(load_config(None, [f"run.folder={tmp_path}"]))
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(RunFolderError, match="no update yet"):
        read_history(tmp_path)


# Words


def test_the_largest_sigma_is_the_hardest_stage(tmp_path: Path) -> None:
    sentences = _verdict(tmp_path, (0.25, 0.49, 0.09), (0.5, 0.7, 0.3))
    assert sentences[0] == "Hardest stage: expansion (σ = 0.700). Easiest stage: aggregation (σ = 0.300)."
    assert sentences[1].startswith("Every σ has converged")


def test_no_stage_is_named_hardest_before_every_sigma_has_converged(tmp_path: Path) -> None:
    sentences = _verdict(tmp_path, (0.25, 0.49, 0.09), (0.5, 0.7, 0.6))
    assert sentences[0] == (
        "No stage is named the hardest yet: σ has not converged for aggregation (100% above √L = 0.300, +0% over the "
        "last third)."
    )
    assert sentences[1].endswith("than σ. √L is initialization 0.500, expansion 0.700, aggregation 0.300.")


def test_what_sigma_does_to_the_loss_is_said_in_words(tmp_path: Path) -> None:
    _verdict(tmp_path, (0.25, 0.49, 0.09), (0.5, 1.0, 0.25))
    # 1 / (2 · 0.25), 1 / 2, 1 / (2 · 0.0625).
    assert "initialization 2.00, expansion 0.50, aggregation 8.00" in weights_in_words(read_history(tmp_path))
    _verdict(tmp_path, (0.25, 0.49, 0.09), (1.0, 1.0, 1.0))
    assert weights_in_words(read_history(tmp_path)).startswith("Every stage counts alike")


def test_sigmas_within_one_percent_are_no_order(tmp_path: Path) -> None:
    assert _verdict(tmp_path, (0.25, 0.25, 0.25), (0.5, 0.503, 0.5))[0].startswith("The stages are about equally hard")


def test_a_stage_without_samples_is_no_part_of_the_verdict(tmp_path: Path) -> None:
    sentences = _verdict(tmp_path, (0.25, None, 0.09), (0.5, 1.0, 0.3))
    assert sentences[0] == "Hardest stage: initialization (σ = 0.500). Easiest stage: aggregation (σ = 0.300)."


def test_a_single_stage_is_compared_with_nothing(tmp_path: Path) -> None:
    assert _verdict(tmp_path, (None, None, 0.09), (1.0, 1.0, 0.3)) == [
        "Only aggregation was trained, so there is nothing to compare."
    ]


def test_where_sigma_was_held_no_stage_is_named_the_hardest(tmp_path: Path) -> None:
    assert _verdict(tmp_path, (0.25, 0.49, 0.09), (1.0, 1.0, 1.0)) == [
        "σ was held at 1, so it names no stage the hardest. √L is initialization 0.500, expansion 0.700, aggregation "
        "0.300 over the last third."
    ]


# The phase


def test_the_report_is_two_pages_and_two_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held_out = {"update": 20, "held_out": {"L_init": 0.3, "L_agg": 0.1, "accuracy_init": 0.75, "accuracy_agg": 0.9}}
    lines = [_update(number, (0.25, None, 0.09), (0.5, 1.0, 0.3)) for number in range(1, 21)]
    _write(tmp_path / "train", [*lines, held_out])
    paths = report(load_config(None, [f"run.folder={tmp_path}"]))
    assert [path.name for path in paths] == ["report.html", "report.md", "sigmas.png", "losses.png"]
    for picture in paths[2:]:
        assert picture.read_bytes().startswith(b"\x89PNG")
    page = paths[1].read_text()
    assert "| initialization | 0.500 | 0.500 | +0.0% | +0.0% | yes | 0.3000 | 75.0% |" in page
    assert "expansion" not in page
    assert "## Evaluation" not in page
    assert "Hardest stage: initialization" in capsys.readouterr().out


def test_scores_of_an_evaluation_stand_in_the_page(tmp_path: Path) -> None:
    _write(tmp_path / "train", [_update(1, (0.25, 0.3, 0.09))])
    scores = {
        "model": "weights",
        "quality": {
            "questions": 60, "exact_match": 0.7, "f1": 0.75, "accuracy_substring": 0.8, "accuracy_tokens": 0.78,
            "tokens": 1234.4,
        },
        "cost": {"seconds": 2.5},
        "exact_match_interval": {"low": 0.58, "high": 0.81},
        "f1_interval": {"low": 0.65, "high": 0.85},
        "accuracy_tokens_interval": {"low": 0.68, "high": 0.88},
        "contamination": {"questions": 60, "trained": 9, "by_id": 2, "by_text": 0, "either": 2},
    }  # fmt: skip
    (tmp_path / "evaluate").mkdir()
    (tmp_path / "evaluate" / "scores.json").write_text(json.dumps(scores))
    page = report(load_config(None, [f"run.folder={tmp_path}"]))[1].read_text()
    assert "`weights` over 60 questions." in page
    assert "| EM | 70.0 | 58.0 to 81.0 |" in page
    assert "| Acc (whole tokens) | 78.0 | 68.0 to 88.0 |" in page
    assert "| tokens per question | 1,234 |   |" in page
    assert "| seconds of completions per question | 2.50 |   |" in page
    assert "Warning: 2 of 60 evaluated questions occur among the 9 that" in page


def test_scores_of_an_earlier_version_stand_in_the_page_without_what_they_lack(tmp_path: Path) -> None:
    _write(tmp_path / "train", [_update(1, (0.25, 0.3, 0.09))])
    quality = {"questions": 60, "exact_match": 0.7, "f1": 0.75, "accuracy_substring": 0.8, "accuracy_tokens": 0.78}
    between = {"low": 0.58, "high": 0.81}
    scores = {"model": "weights", "quality": quality, "exact_match_interval": between, "f1_interval": between}
    (tmp_path / "evaluate").mkdir()
    (tmp_path / "evaluate" / "scores.json").write_text(json.dumps(scores))
    page = report(load_config(None, [f"run.folder={tmp_path}"]))[1].read_text()
    assert "| Acc (whole tokens) | 78.0 |   |" in page
    assert "per question" not in page


def _verdict(folder: Path, losses: Losses, sigmas: tuple[float, float, float]) -> list[str]:
    _write(folder, [_update(number, losses, sigmas) for number in range(1, 31)])
    return verdict(read_history(folder))


def _update(number: int, losses: Losses, sigmas: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> dict[str, Any]:
    terms = ("init", "exp", "agg")
    return {
        "update": number,
        **{f"L_{term}": loss for term, loss in zip(terms, losses, strict=True)},
        **{f"sigma_{term}": sigma for term, sigma in zip(terms, sigmas, strict=True)},
    }


def _write(folder: Path, lines: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
