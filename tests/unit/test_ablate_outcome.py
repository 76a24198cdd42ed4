"""Means over seeds, corrected p-values and the table, by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from steper_ray.core.types import FailureKind, StopReason, System
from steper_ray.errors import RunFolderError
from steper_ray.evaluate.evaluated import Evaluated, ScoredQuestion
from steper_ray.evaluate.paired import PairedTest
from steper_ray.evaluate.scores import StageScore
from steper_ray.evaluate.table import markdown
from steper_ray.experiments.against import against_references, holm, resolution, uneven
from steper_ray.experiments.members import Form, Row, Training, parse_member
from steper_ray.experiments.outcome import (
    Course,
    Outcome,
    Sigma,
    failed_notes,
    finished_rows,
    mean_scores,
    outcome_of,
)
from steper_ray.experiments.tables import ablation_json, ablation_tables
from steper_ray.sections.ablate import Control

STEPER, TURNS = (parse_member(name) for name in ("steper", "steper/turns"))
REFERENCES = {Form.CUMULATIVE: STEPER, Form.TURNS: TURNS}


def evaluated(name: str, ems: list[float], tokens: int = 100) -> Evaluated:
    questions = {
        f"q{number}": ScoredQuestion(
            text=f"Question {number}?",
            golden_answers=("x",),
            scores={"exact_match": em, "f1": em, "accuracy_substring": em, "accuracy_tokens": em},
            tokens=tokens,
            stop=StopReason.ANSWERED,
        )
        for number, em in enumerate(ems)
    }
    return Evaluated(Path(name), name, questions)


def ending(found: Evaluated, stop: StopReason | None, failure: FailureKind | None = None) -> Evaluated:
    """Where the first question ended otherwise than by an answer."""
    return replace(
        found, questions={**found.questions, "q0": replace(found.questions["q0"], stop=stop, failure=failure)}
    )


def row(
    member: str,
    *seeds: int,
    updates: int = 10,
    system: System = System.MULTI_STEP,
    control: Control = Control.UPDATES,
) -> Row:
    who = parse_member(member)
    trainings = tuple(Training(who, updates, seed) for seed in seeds)
    return Row(control if seeds else None, who, system, trainings)


def test_a_score_is_the_mean_over_questions_and_seeds_and_each_seed_is_shown() -> None:
    seeds = [evaluated("a", [1, 1, 0, 0], tokens=100), evaluated("b", [1, 0, 0, 0], tokens=300)]
    assert mean_scores(seeds, "exact_match") == [1.0, 0.5, 0.0, 0.0]
    courses = [Course(10, 0.5, 600), Course(10, 0.5, 800)]
    outcome = outcome_of(row("steper", 1, 2), seeds, 160, courses, [{}, {}], seed=0)
    figure = outcome.figures["exact_match"]
    assert (figure.mean, figure.by_seed) == (0.375, (0.5, 0.25))
    # Each is 0.125 from the mean: √(2 · 0.125² / 1).
    assert figure.spread == pytest.approx(0.17678, abs=1e-5)
    assert figure.interval.low < 0.375 < figure.interval.high
    assert (outcome.questions, outcome.tokens, outcome.course) == (4, 200.0, Course(10, 0.5, 700))


def test_stage_scores_are_means_over_seeds_of_stages_that_all_have() -> None:
    stages = [
        {"reasoning_initialization": StageScore(1.0, 0.5, 10), "reasoning_expansion": StageScore(1.0, 0.5, 10)},
        {"reasoning_initialization": StageScore(2.0, 0.7, 10)},
    ]
    outcome = outcome_of(row("steper", 1, 2), [evaluated("a", [1]), evaluated("b", [1])], 1, [], stages, seed=0)
    assert list(outcome.stages) == ["reasoning_initialization"]
    assert outcome.stages["reasoning_initialization"].loss == 1.5
    assert outcome.stages["reasoning_initialization"].token_accuracy == pytest.approx(0.6)


def test_stops_and_failures_are_kept_by_seed_and_the_course_is_a_mean() -> None:
    seeds = [
        ending(evaluated("a", [0, 1, 1]), StopReason.STEP_LIMIT),
        ending(evaluated("b", [0, 1, 1]), None, FailureKind.REFUSED),
    ]
    courses = [
        Course(training_seconds=60, sigmas={"reasoning_initialization": Sigma(0.2, 0.1), "other": Sigma(1, 1)}),
        Course(training_seconds=120, sigmas={"reasoning_initialization": Sigma(0.4, 0.2)}),
    ]
    found = outcome_of(row("steper", 1, 2), seeds, 1, courses, [{}, {}], seed=0)
    assert found.stops == ({"answered": 2, "step_limit": 1}, {"answered": 2})
    assert found.failed == ({}, {"refused": 1})
    assert found.course.training_seconds == 90
    assert list(found.course.sigmas) == ["reasoning_initialization"]
    sigma = found.course.sigmas["reasoning_initialization"]
    assert (sigma.last, sigma.rest) == (pytest.approx(0.3), pytest.approx(0.15))
    (_, ends, *_) = ablation_tables([found], [])
    assert ends.columns[2:] == (
        *("answered, %", "step_limit, %", "failed, %", "minutes of updates"),
        *("σ init (√L)", "σ exp (√L)", "σ agg (√L)"),
    )
    # Four, one and one of six questions.
    assert ends.rows[0][2:] == ("66.7", "16.7", "16.7", "1.5", "0.300 (0.150)", "", "")
    (told,) = ablation_json([found], [], {Form.CUMULATIVE: STEPER}, {}, [])["rows"]
    assert (told["stops"][0], told["failed"], told["training_seconds"]) == (found.stops[0], found.failed, 90)
    assert told["sigmas"]["reasoning_initialization"]["last"] == sigma.last


def test_failed_questions_are_told_once_for_each_evaluation() -> None:
    broken = ending(evaluated("b", [0, 1]), None, FailureKind.REFUSED)
    whole = evaluated("a", [0, 1])
    rows = [
        (row("untrained", system=System.ONE_STEP), [broken]),
        (row("steper", 1, 2), [whole, broken]),
        (row("steper", 1, 2, control=Control.TARGET_TOKENS), [whole, broken]),
        (row("multitask", 1), [whole]),
    ]
    told = "1 of 2 questions failed and score 0 (1 refused)"
    assert failed_notes(rows) == [f"untrained, one_step: {told}", f"steper-cumulative-10-seed2, multi_step: {told}"]


def test_seeds_evaluated_on_other_questions_are_refused() -> None:
    with pytest.raises(RunFolderError, match="evaluate both on the same file"):
        outcome_of(row("steper", 1, 2), [evaluated("a", [1, 0]), evaluated("b", [1])], 1, [], [{}, {}], seed=0)


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    # Sorted 0.01, 0.02, 0.04, times 3, 2, 1: 0.03, 0.04, 0.04.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_reference_is_held_against_its_own_control_and_the_untrained() -> None:
    rows = [
        (row("untrained"), [evaluated("u", [0, 0, 0, 0, 0, 0])]),
        (row("vanilla_kd", 1), [evaluated("v", [1, 0, 0, 0, 0, 0])]),
        (row("vanilla_kd", 1, system=System.ONE_STEP), [evaluated("o", [0, 0, 0, 0, 0, 0])]),
        (row("steper", 1), [evaluated("s", [1, 1, 1, 1, 1, 1])]),
        # Under a control whose reference is not there.
        (row("vanilla_kd", 1, updates=5, control=Control.TARGET_TOKENS), [evaluated("t", [0, 0, 0, 0, 0, 0])]),
    ]
    found = against_references(rows, REFERENCES, seed=0)
    assert [(str(one.row.member), one.row.system.value) for one in found] == [
        ("untrained", "multi_step"),
        ("vanilla_kd", "multi_step"),
        ("vanilla_kd", "one_step"),
    ]
    assert {one.controls for one in found} == {(Control.UPDATES,)}
    # Six of six questions: 2 / 2⁶; five of five: 2 / 2⁵.
    assert [one.differences["exact_match"].p_value for one in found] == [0.03125, 0.0625, 0.03125]
    assert [one.corrected["exact_match"] for one in found] == pytest.approx([0.09375, 0.09375, 0.09375])
    assert found[1].differences["f1"].difference == pytest.approx(5 / 6)
    assert found[0].differences["accuracy_substring"].test is PairedTest.MCNEMAR


def both_controls() -> list[tuple[Row, list[Evaluated]]]:
    """Two controls and two forms; only `vanilla_kd` is trained twice."""
    right, wrong = [1.0] * 6, [0.0] * 6
    rows = [(row("untrained"), [evaluated("u", wrong)])]
    for control, updates in ((Control.UPDATES, 10), (Control.TARGET_TOKENS, 6)):
        rows += [
            (row("vanilla_kd", 1, updates=updates, control=control), [evaluated(f"v{updates}", wrong)]),
            (row("steper", 1, control=control), [evaluated("s", right)]),
            (row("multitask/turns", 1, control=control), [evaluated("mt", wrong)]),
            (row("steper/turns", 1, control=control), [evaluated("st", right)]),
        ]
    return rows


def test_members_are_compared_within_a_form_and_the_same_comparison_counts_once() -> None:
    found = against_references(both_controls(), REFERENCES, seed=0)
    told = [(str(one.reference), str(one.row.member), one.row.trainings, one.controls) for one in found]
    both = (Control.UPDATES, Control.TARGET_TOKENS)
    (vanilla, fewer, turns) = (
        (Training(parse_member(name), updates, 1),)
        for name, updates in (("vanilla_kd", 10), ("vanilla_kd", 6), ("multitask/turns", 10))
    )
    assert told == [
        ("steper", "untrained", (), both),
        ("steper", "vanilla_kd", vanilla, (Control.UPDATES,)),
        ("steper", "vanilla_kd", fewer, (Control.TARGET_TOKENS,)),
        ("steper/turns", "multitask/turns", turns, both),
    ]
    # Each p is 2 / 2⁶: three comparisons in the one form, one in the other.
    assert [one.corrected["exact_match"] for one in found] == pytest.approx([0.09375, 0.09375, 0.09375, 0.03125])


def test_the_resolution_is_half_the_widest_interval_in_em() -> None:
    found = against_references(both_controls(), REFERENCES, seed=0)
    # Every difference is 1 on each of six: 6/8 ± 1.96 · sqrt((1 − (6/8)²) / 8), cut off at 1.
    assert resolution(found) == pytest.approx((1 - 0.2917) / 2, abs=1e-4)
    rows = [(row("untrained"), [evaluated("u", [0] * 6)]), (row("steper", 1), [evaluated("s", [0] * 6)])]
    # None of six differs: 1.96 · sqrt(2 / 8 / 8) on both sides.
    assert resolution(against_references(rows, REFERENCES, seed=0)) == pytest.approx(0.3465, abs=1e-4)
    assert resolution([]) is None


def outcome(told: Row, course: Course) -> Outcome:
    return outcome_of(told, [evaluated("x", [1])], 80, [course], [{}], seed=0)


def test_training_that_should_be_equal_and_is_not_is_said() -> None:
    tokens = Control.TARGET_TOKENS
    reference = outcome(row("steper", 1, control=tokens), Course(10, 1, 1000))
    near = outcome(row("multitask", 1, control=tokens), Course(10, 1, 1040))
    far = outcome(row("vanilla_kd", 1, control=tokens), Course(5, 1, 940))
    other_form = outcome(row("steper/turns", 1, control=tokens), Course(10, 1, 5000))
    assert uneven([reference, near, far, other_form, outcome(row("untrained"), Course())], REFERENCES) == [
        "vanilla_kd had 940 target tokens, steper 1,000, where they should be equal"
    ]
    stopped = outcome(row("vanilla_kd", 1), Course(9, 1, 9000))
    whole = outcome(row("steper", 1), Course(10, 1, 1000))
    assert uneven([whole, stopped], REFERENCES) == ["vanilla_kd had 9 updates, steper 10, where they should be equal"]


def test_the_table_says_all_of_it() -> None:
    rows = [
        (row("untrained"), [evaluated("u", [0, 0])]),
        (row("steper", 1, 2), [evaluated("s", [1, 1]), evaluated("s2", [1, 0])]),
    ]
    stages = {"reasoning_aggregation": StageScore(0.25, 0.9, 10)}
    outcomes = [
        outcome_of(rows[0][0], rows[0][1], 0, [], [{}], seed=0),
        outcome_of(rows[1][0], rows[1][1], 800, [Course(100, 0.5, 1000)] * 2, [stages, stages], seed=0),
    ]
    against = against_references(rows, REFERENCES, seed=0)
    page = markdown("Ablation", [], ablation_tables(outcomes, against))
    assert "| untrained | not trained |   |   |   | 0.0 (0.0 to 84.2) |" in page
    assert "| steper | same updates | 100 | 0.50 of 800 | 1,000 | 75.0 (15.8 to 100.0) | 75.0 (15.8 to 100.0) |" in page
    assert "| steper | same updates | 100.0, 50.0; 35.4 |" in page
    assert page.count("| steper less untrained | same updates | +75.0 |") == 4
    assert "## Differences in Acc (substring) on the same questions" in page
    assert "| steper | same updates |   |   | 0.250 |   |   | 90.0 |" in page
    numbers = ablation_json(outcomes, against, REFERENCES, {"x": "why"}, ["note"])
    assert [found["member"] for found in numbers["rows"]] == ["untrained", "steper"]
    trained = numbers["rows"][1]
    assert (trained["seeds"], trained["updates"], trained["epochs"], trained["units"]) == ([1, 2], 100, 0.5, 800)
    assert trained["figures"]["accuracy_tokens"]["spread"] == pytest.approx(0.35355, abs=1e-5)
    assert numbers["against"][0]["difference"] == numbers["against"][0]["measures"]["f1"]["difference"] == 0.75
    assert numbers["references"] == {"cumulative": "steper", "turns": "steper/turns"}
    assert (numbers["failed"], numbers["notes"]) == ({"x": "why"}, ["note"])


def test_rows_of_a_run_that_is_not_finished_are_left_out_trained_or_not() -> None:
    rows = [row("untrained"), row("untrained", system=System.ONE_STEP), row("steper", 1, 2)]
    assert finished_rows(rows, {"steper-cumulative-10-seed2"}) == rows[:2]
    assert finished_rows(rows, {"untrained-cumulative-one_step"}) == [rows[0], rows[2]]
    assert finished_rows(rows[2:], {"steper-cumulative-10-seed2"}) == []
