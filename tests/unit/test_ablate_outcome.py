"""Means over seeds, corrected p-values and the table, by hand."""

from pathlib import Path

import pytest

from steper_ray.core.types import System
from steper_ray.errors import RunFolderError
from steper_ray.evaluate.evaluated import Evaluated, ScoredQuestion
from steper_ray.evaluate.paired import PairedTest
from steper_ray.evaluate.scores import StageScore
from steper_ray.evaluate.table import markdown
from steper_ray.experiments.members import Row, Training, parse_member
from steper_ray.experiments.outcome import against_reference, finished_rows, holm, mean_scores, outcome_of
from steper_ray.experiments.tables import ablation_json, ablation_tables
from steper_ray.sections.ablate import Control

STEPER, VANILLA, UNTRAINED = (parse_member(name) for name in ("steper", "vanilla_kd", "untrained"))


def evaluated(name: str, ems: list[float], tokens: int = 100) -> Evaluated:
    questions = {
        f"q{number}": ScoredQuestion(
            text=f"Question {number}?",
            golden_answers=("x",),
            scores={"exact_match": em, "f1": em, "accuracy_substring": em, "accuracy_tokens": em},
            tokens=tokens,
            finished=True,
        )
        for number, em in enumerate(ems)
    }
    return Evaluated(Path(name), name, questions)


def row(member: str, *seeds: int, updates: int = 10, system: System = System.MULTI_STEP) -> Row:
    who = parse_member(member)
    trainings = tuple(Training(who, updates, seed) for seed in seeds)
    return Row(Control.UPDATES if seeds else None, who, system, trainings)


def test_a_score_is_the_mean_over_questions_and_seeds_and_each_seed_is_shown() -> None:
    seeds = [evaluated("a", [1, 1, 0, 0], tokens=100), evaluated("b", [1, 0, 0, 0], tokens=300)]
    assert mean_scores(seeds, "exact_match") == [1.0, 0.5, 0.0, 0.0]
    outcome = outcome_of(row("steper", 1, 2), seeds, [600, 800], [{}, {}], seed=0)
    figure = outcome.figures["exact_match"]
    assert (figure.mean, figure.by_seed) == (0.375, (0.5, 0.25))
    assert figure.interval.low < 0.375 < figure.interval.high
    assert (outcome.questions, outcome.tokens, outcome.target_tokens) == (4, 200.0, 700.0)


def test_stage_scores_are_means_over_seeds_of_stages_that_all_have() -> None:
    stages = [
        {"reasoning_initialization": StageScore(1.0, 0.5, 10), "reasoning_expansion": StageScore(1.0, 0.5, 10)},
        {"reasoning_initialization": StageScore(2.0, 0.7, 10)},
    ]
    outcome = outcome_of(row("steper", 1, 2), [evaluated("a", [1]), evaluated("b", [1])], [1, 1], stages, seed=0)
    assert list(outcome.stages) == ["reasoning_initialization"]
    assert outcome.stages["reasoning_initialization"].loss == 1.5
    assert outcome.stages["reasoning_initialization"].token_accuracy == pytest.approx(0.6)


def test_seeds_evaluated_on_other_questions_are_refused() -> None:
    with pytest.raises(RunFolderError, match="evaluate both on the same file"):
        outcome_of(row("steper", 1, 2), [evaluated("a", [1, 0]), evaluated("b", [1])], [1, 1], [{}, {}], seed=0)


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    # Sorted 0.01, 0.02, 0.04, times 3, 2, 1: 0.03, 0.04, 0.04.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_reference_is_held_against_its_own_control_and_the_untrained() -> None:
    other = Row(Control.TARGET_TOKENS, VANILLA, System.MULTI_STEP, (Training(VANILLA, 5, 1),))
    rows = [
        (row("untrained"), [evaluated("u", [0, 0, 0, 0, 0, 0])]),
        (row("vanilla_kd", 1), [evaluated("v", [1, 0, 0, 0, 0, 0])]),
        (row("vanilla_kd", 1, system=System.ONE_STEP), [evaluated("o", [0, 0, 0, 0, 0, 0])]),
        (row("steper", 1), [evaluated("s", [1, 1, 1, 1, 1, 1])]),
        (other, [evaluated("t", [0, 0, 0, 0, 0, 0])]),
    ]
    found = against_reference(rows, STEPER, seed=0)
    assert [(str(one.row.member), one.row.system.value) for one in found] == [
        ("untrained", "multi_step"),
        ("vanilla_kd", "multi_step"),
        ("vanilla_kd", "one_step"),
    ]
    assert {one.row.control for one in found} == {Control.UPDATES}
    # Six of six questions: 2 / 2⁶; five of five: 2 / 2⁵.
    assert [one.difference.p_value for one in found] == [0.03125, 0.0625, 0.03125]
    assert [one.corrected for one in found] == pytest.approx([0.09375, 0.09375, 0.09375])
    assert found[1].difference.difference == pytest.approx(5 / 6)
    assert found[0].difference.test is PairedTest.MCNEMAR


def test_the_table_says_all_of_it() -> None:
    rows = [
        (row("untrained"), [evaluated("u", [0, 0])]),
        (row("steper", 1, 2), [evaluated("s", [1, 1]), evaluated("s2", [1, 0])]),
    ]
    stages = {"reasoning_aggregation": StageScore(0.25, 0.9, 10)}
    outcomes = [
        outcome_of(rows[0][0], rows[0][1], [], [{}], seed=0),
        outcome_of(rows[1][0], rows[1][1], [1000, 1000], [stages, stages], seed=0),
    ]
    against = against_reference(rows, STEPER, seed=0)
    page = markdown("Ablation", [], ablation_tables(outcomes, against, STEPER))
    assert "| untrained | not trained |   |   | 0.0 |" in page
    assert "| steper | same updates | 10 | 1,000 | 75.0 | 50.0 to 100.0 | 100.0, 50.0 |" in page
    assert "| untrained | same updates | +75.0 |" in page
    assert "| steper | same updates |   |   | 0.250 |   |   | 90.0 |" in page
    numbers = ablation_json(outcomes, against, STEPER, {"x": "why"})
    assert [found["member"] for found in numbers["rows"]] == ["untrained", "steper"]
    assert numbers["rows"][1]["seeds"] == [1, 2]
    assert numbers["against"][0]["difference"] == 0.75
    assert (numbers["reference"], numbers["failed"]) == ("steper", {"x": "why"})


def test_rows_of_a_failed_training_are_left_out() -> None:
    rows = [row("untrained"), row("steper", 1, 2)]
    assert finished_rows(rows, {"steper-cumulative-10-seed2"}) == rows[:1]
    with pytest.raises(RunFolderError, match="no member of the ablation could be finished"):
        finished_rows(rows[1:], {"steper-cumulative-10-seed2"})
