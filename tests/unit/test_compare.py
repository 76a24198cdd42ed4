"""Two evaluations on the same questions: tests of a difference, and what is refused."""

import json
import re
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steper_ray.cli import main
from steper_ray.errors import InputError, RunFolderError
from steper_ray.evaluate.compare import compare_runs
from steper_ray.evaluate.evaluated import read_evaluated
from steper_ray.evaluate.interval import bootstrap
from steper_ray.evaluate.paired import PairedTest, difference_interval, mcnemar, paired, sign_flip

Write = Callable[..., Path]


@pytest.fixture
def evaluation(tmp_path: Path) -> Write:
    """Writes an evaluation whose questions q0, q1, … have these EM scores; F1 is 0.5 where EM is 0."""

    def write(name: str, scores: Sequence[float], *, changes: dict[int, dict[str, Any]] | None = None) -> Path:
        folder = tmp_path / name / "evaluate"
        folder.mkdir(parents=True)
        rows = [
            {
                "id": f"q{number}",
                "question": f"What is {number}?",
                "golden_answers": ["Hee Haw"],
                "exact_match": exact,
                "f1": max(exact, 0.5),
                "accuracy_substring": exact,
                "accuracy_tokens": exact,
                "stop": "answered",
                "prompt_tokens": 100,
                "completion_tokens": 10 + len(name),
                "seconds": 1.5 * len(name),
            }
            for number, exact in enumerate(scores)
        ]
        for number, change in (changes or {}).items():
            rows[number] |= change
        (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "scores.json").write_text(json.dumps({"model": f"model-{name}"}))
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [
        (0, 5, 2 / 32),  # all five for one side: 2 · (1/2)^5
        (1, 5, 2 * (1 + 6) / 64),
        (3, 3, 1.0),
        (0, 0, 1.0),
        (2, 8, 2 * (1 + 10 + 45) / 1024),
    ],
)
def test_mcnemar_is_the_binomial_of_the_questions_that_one_alone_has_right(
    only_first: int, only_second: int, p_value: float
) -> None:
    agreeing = 7
    first = [1.0] * only_first + [0.0] * only_second + [1.0, 0.0] * agreeing
    second = [0.0] * only_first + [1.0] * only_second + [1.0, 0.0] * agreeing
    assert mcnemar(first, second) == pytest.approx(p_value)
    # Of scores that are 0 or 1 the sign-flip test is the same test.
    differences = [after - before for before, after in zip(first, second, strict=True)]
    assert sign_flip(differences, seed=0) == pytest.approx(p_value)


def test_mcnemar_of_thousands_of_questions_is_a_number() -> None:
    p_value = mcnemar([1.0] * 2000 + [0.0] * 3000, [0.0] * 2000 + [1.0] * 3000)
    assert 0 < p_value < 1e-40


def test_a_sign_flip_test_of_few_questions_looks_at_all_flips() -> None:
    differences = [0.5, -0.2, 0.3, 0.0, 0.25]
    flips = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in product([-1, 1], repeat=5)
    ]
    assert sign_flip(differences, seed=0) == pytest.approx(np.mean([total >= 0.85 - 1e-9 for total in flips]))


def test_a_sign_flip_test_of_many_questions_is_near_the_normal_approximation_and_repeatable() -> None:
    source = np.random.default_rng(5)
    differences = list(source.normal(0.03, 0.3, 300))
    z = abs(np.sum(differences)) / np.sqrt(np.sum(np.square(differences)))
    from math import erfc

    p_value = sign_flip(differences, seed=1)
    assert p_value == pytest.approx(erfc(z / np.sqrt(2)), abs=0.02)
    assert p_value == sign_flip(differences, seed=1)
    assert sign_flip([0.1] * 100, seed=0) == pytest.approx(1 / 10_001)


def test_a_test_of_random_systems_is_rarely_significant() -> None:
    source = np.random.default_rng(11)
    p_values = []
    for _ in range(200):
        first, second = source.integers(0, 2, (2, 80)).astype(float)
        p_values.append(mcnemar(list(first), list(second)))
    # A valid test rejects at 5 % in at most about 5 % of the cases (200: 10, and 3 standard deviations more).
    assert sum(p_value <= 0.05 for p_value in p_values) <= 19


def test_the_interval_of_a_difference_is_narrower_than_that_of_independent_scores() -> None:
    first = [1.0] * 40 + [0.0] * 60
    second = [1.0] * 50 + [0.0] * 50
    found = paired(first, second, seed=0)
    # Ten of a hundred differ: 0.1 ± 1.96 · sqrt(0.1 · 0.9 / 100) = 0.04 … 0.16.
    assert found.difference == pytest.approx(0.1)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.04, 0.16), abs=0.015)
    assert found.p_value == pytest.approx(2 / 1024)
    assert found.test is PairedTest.MCNEMAR


def test_scores_between_0_and_1_get_the_sign_flip_test() -> None:
    assert paired([0.5, 1.0], [0.5, 0.2], seed=0).test is PairedTest.SIGN_FLIP


@pytest.mark.parametrize(
    ("only_first", "only_second", "size", "low", "high"),
    [
        # ±1.96 · sqrt(2 / 22 / 22): one question more for either side, and no difference.
        (0, 0, 20, -0.1260, 0.1260),
        # 1/152 ± 1.96 · sqrt((3 / 152 − (1 / 152)²) / 152)
        (0, 1, 150, -0.0157, 0.0289),
        # −6/23 ± 1.96 · sqrt((10 / 23 − (6 / 23)²) / 23)
        (7, 1, 21, -0.5084, -0.0134),
        # 20/22 ± 0.174, and no difference is above 1.
        (0, 20, 20, 0.7351, 1.0),
    ],
)
def test_the_interval_of_a_difference_in_few_questions_is_that_of_bonett_and_price(
    only_first: int, only_second: int, size: int, low: float, high: float
) -> None:
    differences = [-1.0] * only_first + [1.0] * only_second + [0.0] * (size - only_first - only_second)
    interval = difference_interval(differences, seed=0)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("only_first", [0, 4])
@pytest.mark.parametrize("size", [20, 60, 150, 500])
def test_the_interval_of_a_difference_rises_with_it(size: int, only_first: int) -> None:
    rest = size - only_first
    found = [
        difference_interval([-1.0] * only_first + [0.0] * (rest - better) + [1.0] * better, seed=1)
        for better in range(rest + 1)
    ]
    assert all(one.high <= other.high and one.low < other.low for one, other in pairwise(found))


def test_where_the_bootstrap_begins_the_interval_of_a_difference_in_f1_hardly_jumps() -> None:
    nine, ten = (difference_interval([0.5] * better + [0.0] * (150 - better), seed=1) for better in (9, 10))
    assert nine.low < ten.low
    assert nine.high - ten.high < 0.005


def test_a_difference_in_f1_of_few_questions_is_no_point() -> None:
    # 0.5/152 ± 1.96 · sqrt((2.25 / 152 − (0.5 / 152)²) / 152)
    interval = difference_interval([0.5] + [0.0] * 149, seed=0)
    assert (interval.low, interval.high) == pytest.approx((-0.0160, 0.0226), abs=1e-4)
    many = [0.01 * number for number in range(30)]
    assert difference_interval(many, seed=0) == bootstrap(many, seed=0)


def test_a_comparison_is_printed_and_written(evaluation: Write, capsys: pytest.CaptureFixture[str]) -> None:
    first = evaluation("a", [1, 0, 0, 0, 0, 0, 0, 1])
    second = evaluation("bb", [1, 1, 1, 1, 1, 1, 0, 0])
    comparison = compare_runs(first, second)
    # B alone has five right, A alone one: p = 2 · (1 + 6) / 2^6.
    assert comparison.differences["exact_match"].p_value == pytest.approx(14 / 64)
    assert comparison.outcomes == {(True, True): 1, (False, True): 5, (False, False): 1, (True, False): 1}
    page = (second / "evaluate" / "comparison.md").read_text()
    assert re.search(r"\| EM \| 25\.0 \| 75\.0 \| \+50\.0 \| [+-]?\d+\.\d to \+\d+\.\d \| 0\.219 \| McNemar", page)
    # F1 is 0.5 where EM is 0, so halves of the differences.
    assert re.search(r"\| F1 \| 62\.5 \| 87\.5 \| \+25\.0 .* sign flip", page)
    assert "| tokens per question | 111 | 112 | +1 | +1 to +1 |" in page
    assert "| seconds of completions per question | 1.50 | 3.00 | +1.50 | +1.50 to +1.50 |" in page
    assert "| B alone | 5 |" in page
    assert f"A: `model-a`, {first / 'evaluate'}" in page
    shown = capsys.readouterr().out
    assert "McNemar" in shown
    assert "model-bb" in shown
    assert "compare: 8 questions; written to" in shown


def test_predictions_without_seconds_are_compared_without_them(evaluation: Write) -> None:
    first, second = evaluation("a", [1, 0], changes={1: {"seconds": None}}), evaluation("b", [1, 1])
    assert compare_runs(first, second).seconds is None
    assert "seconds" not in (second / "evaluate" / "comparison.md").read_text()


def test_a_comparison_says_which_system_was_trained_on_the_questions(
    evaluation: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = evaluation("a", [1, 0]), evaluation("b", [1, 1])
    known = {"questions": 2, "trained": 9, "by_id": 2, "by_text": 1, "either": 2}
    path = second / "evaluate" / "scores.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "contamination": known}))
    compare_runs(first, second)
    told = "warning: B: 2 of 2 evaluated questions occur among the 9 that the student's training samples were made of"
    assert told in capsys.readouterr().out
    assert told in (second / "evaluate" / "comparison.md").read_text()


def test_a_comparison_says_how_many_questions_of_each_side_failed(
    evaluation: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    first, failed = [1] * 10, {"stop": None, "prompt_tokens": 0, "completion_tokens": 0}
    gone = {number: {**failed, "failure": "timeout", "exact_match": 0} for number in range(3)}
    changes = {**gone, 3: {**failed, "failure": "refused"}, 4: failed}
    second = evaluation("b", [0] * 5 + [1] * 5, changes=changes)
    compare_runs(evaluation("a", first), second)
    told = (
        "warning: B: 5 of 10 questions failed and score 0 (1 not_started, 1 refused, 3 timeout); another run of the "
        "evaluation tries 4 of them again"
    )
    page = (second / "evaluate" / "comparison.md").read_text()
    assert told in page
    assert told in capsys.readouterr().out
    assert "warning: A" not in page
    assert read_evaluated(second).stops == {"answered": 5}


def test_failures_for_good_are_told_without_a_remedy(evaluation: Write) -> None:
    found = read_evaluated(evaluation("a", [1, 0], changes={1: {"stop": None, "failure": "prompt_too_long"}}))
    assert found.failed_told == "1 of 2 questions failed and score 0 (1 prompt_too_long)"


def test_the_command_takes_evaluation_folders_and_a_file(evaluation: Write, tmp_path: Path) -> None:
    first, second = evaluation("a", [1, 0]), evaluation("b", [1, 1])
    out = tmp_path / "page.md"
    assert main(["compare", str(first), str(second / "evaluate"), "--out", str(out), "--seed", "3"]) == 0
    assert "| EM | 50.0 | 100.0 |" in out.read_text()
    assert not (second / "evaluate" / "comparison.md").exists()


def test_other_questions_are_refused_with_counts(evaluation: Write, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = evaluation("a", [1, 0, 1]), evaluation("b", [1, 1, 0, 0], changes={0: {"id": "other"}})
    assert main(["compare", str(first), str(second)]) == 2
    shown = capsys.readouterr().err
    assert "has 3 questions" in shown
    assert "4: 2 in both, 1 only in the first, 2 only in the second" in shown
    assert not (second / "evaluate" / "comparison.md").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": "Another?"}, "1 of 2 questions have another text in .* such as 'q1'"),
        ({"golden_answers": ["Opry"]}, "1 of 2 questions have other gold answers"),
    ],
)
def test_changed_questions_are_refused(evaluation: Write, change: dict[str, Any], message: str) -> None:
    first, second = evaluation("a", [1, 0]), evaluation("b", [1, 0], changes={1: change})
    with pytest.raises(RunFolderError, match=message):
        compare_runs(first, second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "q0"}, r"predictions\.jsonl, line 2, field 'id': duplicate id; found 'q0'"),
        ({"f1": None}, "line 2, field 'f1': must be a score from 0 to 1"),
        ({"exact_match": 2}, "field 'exact_match'.*found 2"),
        ({"f1": float("nan")}, "field 'f1'.*found nan"),
        ({"prompt_tokens": -1}, "field 'prompt_tokens': must be a number of tokens"),
        ({"seconds": float("inf")}, "field 'seconds': must be a number of seconds"),
        ({"golden_answers": "x"}, "field 'golden_answers': must be a list of texts"),
        ({"question": ""}, "field 'question': is empty"),
        ({"stop": "tired"}, "field 'stop': must be one of answered, .*found 'tired'"),
        ({"failure": 5}, "field 'failure': must be one of timeout, .*found 5"),
    ],
)
def test_broken_predictions_are_refused_with_line_and_field(
    evaluation: Write, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_evaluated(evaluation("a", [1, 0], changes={1: change}))


def test_a_folder_without_an_evaluation_is_refused(tmp_path: Path, evaluation: Write) -> None:
    with pytest.raises(RunFolderError, match=r"no predictions\.jsonl in .* run `steper evaluate` first"):
        read_evaluated(tmp_path)
    empty = evaluation("empty", [])
    with pytest.raises(RunFolderError, match="holds no question"):
        read_evaluated(empty)


def test_a_page_in_a_folder_that_is_not_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"cannot write .*no folder; make it"):
        compare_runs(tmp_path / "a", tmp_path / "b", tmp_path / "absent" / "page.md")


def test_an_evaluation_without_scores_is_called_by_its_folder(evaluation: Write) -> None:
    run = evaluation("a", [1])
    (run / "evaluate" / "scores.json").unlink()
    assert read_evaluated(run).model == "evaluate"


def test_help_shows_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "compare" in capsys.readouterr().out
