import json
from dataclasses import asdict
from itertools import pairwise

import pytest

from steper_ray.core.recall import Recall
from steper_ray.core.types import FailureKind, Passage, Question, Step, StopReason, Trajectory, Usage
from steper_ray.data.contamination import Contamination, Trained, id_hash, question_hash
from steper_ray.evaluate.interval import bootstrap, most, score_interval
from steper_ray.evaluate.prediction import Prediction, prediction_row, predictions_of
from steper_ray.evaluate.scores import StageScore, score
from steper_ray.evaluate.table import markdown, score_tables

RIGHT = Question("q1", "Which show?", ("Hee Haw",), kind="bridge", hops=2, gold_titles=("Roy Clark", "Hee Haw"))
NEAR = Question("q2", "Which county?", ("Barra",), kind="bridge", hops=2, gold_titles=("Elmton",))
FAILED = Question("q3", "Is it?", ("yes",), kind="comparison", hops=1)
MISSING = Question("q4", "Who?", ("nobody",), kind="comparison")


def test_every_question_is_scored_and_failed_ones_count_as_wrong() -> None:
    scores = score(_predictions(), seed=0)
    # F1: 1 for "Hee Haw"; 2/3 for "Elmton, Barra" (precision 1/2, recall 1); 0 and 0.
    assert scores.quality.questions == 4
    assert scores.quality.exact_match == pytest.approx(1 / 4)
    assert scores.quality.f1 == pytest.approx((1 + 2 / 3) / 4)
    assert scores.quality.accuracy_substring == pytest.approx(2 / 4)
    assert scores.quality.accuracy_tokens == pytest.approx(2 / 4)
    assert scores.answered_share == pytest.approx(2 / 4)
    assert scores.finished == 2
    assert scores.failed == {"not_started": 1, "timeout": 1}
    assert scores.stops == {"answered": 1, "forced_answer": 1}


def test_steps_and_cost_are_those_of_finished_questions_and_a_forced_answer_is_no_step() -> None:
    scores = score(_predictions(), seed=0)
    assert scores.steps_histogram == {1: 1, 2: 1}
    assert scores.steps_mean == 1.5
    # q1: two completions of 100 + 10 tokens; q2: one and a forced one.
    assert scores.cost.prompt_tokens == 200
    assert scores.cost.cached_tokens == 80
    assert scores.cost.completion_tokens == 20
    assert scores.cost.seconds == pytest.approx(1.0)


def test_recall_is_given_per_step_over_finished_questions_with_gold_passages() -> None:
    scores = score(_predictions(), seed=0)
    assert scores.recall_questions == 2
    # Step 1: q1 has one of two, q2 its only one. Step 2: q1 has both, q2 keeps its value.
    assert list(scores.recall) == [Recall(any=1.0, all=0.5, fraction=0.75), Recall(1.0, 1.0, 1.0)]


def test_groups_add_up_to_all_questions() -> None:
    scores = score(_predictions(), seed=0)
    assert {kind: group.questions for kind, group in scores.by_kind.items()} == {"bridge": 2, "comparison": 2}
    assert scores.by_kind["bridge"].exact_match == 0.5
    assert scores.by_kind["comparison"].f1_interval == scores.by_kind["comparison"].accuracy_tokens_interval
    assert scores.f1_interval == scores.quality.f1_interval
    assert {hops: group.questions for hops, group in scores.by_hops.items()} == {0: 1, 1: 1, 2: 2}


def test_the_yes_no_rule_of_f1_is_the_data_sets() -> None:
    question = Question("q", "?", ("no",))
    found = {"q": [_trajectory(question, "no one", StopReason.ANSWERED, [("1",)])]}
    assert predictions_of([question], found, {}, closed_rule=True)[0].f1 == 0.0
    # "no one" against "no": precision 1/2, recall 1.
    assert predictions_of([question], found, {}, closed_rule=False)[0].f1 == pytest.approx(2 / 3)


def test_gold_answers_are_those_of_the_questions_given_now() -> None:
    before, now = Question("q", "?", ("old",)), Question("q", "?", ("new",))
    found = {"q": [_trajectory(before, "new", StopReason.ANSWERED, [("1",)])]}
    assert predictions_of([now], found, {}, closed_rule=True)[0].exact_match == 1.0


def test_the_interval_is_repeatable_and_holds_the_mean() -> None:
    values = [1.0] * 30 + [0.0] * 70
    interval = bootstrap(values, seed=3)
    assert interval == bootstrap(values, seed=3)
    # Normal approximation: 0.3 ± 1.96 · sqrt(0.3 · 0.7 / 100) = 0.21 … 0.39.
    assert interval.low == pytest.approx(0.21, abs=0.02)
    assert interval.high == pytest.approx(0.39, abs=0.02)


def test_the_interval_of_equal_values_is_a_point() -> None:
    interval = bootstrap([1.0, 1.0, 1.0], seed=0)
    assert (interval.low, interval.high) == (1.0, 1.0)


@pytest.mark.parametrize(("value", "size", "low", "high"), [(0.0, 60, 0.0, 0.0596), (1.0, 60, 0.9404, 1.0)])
def test_a_score_that_is_the_same_for_all_questions_still_has_an_interval(value, size, low, high) -> None:
    # (1 − p)^60 = 0.025 at p = 0.0596.
    interval = score_interval([value] * size, seed=0)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("right", "size", "bound"),
    # (1 − p)² = 0.025; 1 − p² = 0.025; (1 − p)²⁰ + 20 p (1 − p)¹⁹ = 0.025; 9 of 150 and 7,405 as tables have them.
    [(0, 2, 0.8419), (1, 2, 0.9874), (2, 2, 1.0), (1, 20, 0.2487), (9, 150, 0.1108), (0, 7405, 0.000498)],
)
def test_the_exact_bound_is_that_of_clopper_and_pearson(right, size, bound) -> None:
    assert most(right, size) == pytest.approx(bound, abs=1e-4 if bound > 0.01 else 1e-6)


def test_a_score_of_few_right_or_few_wrong_questions_has_the_exact_bound() -> None:
    assert score_interval([1.0] + [0.0] * 19, seed=0).high == pytest.approx(0.2487, abs=1e-4)
    assert score_interval([0.0] + [1.0] * 19, seed=0).low == pytest.approx(1 - 0.2487, abs=1e-4)
    # Ten right and ten wrong: the bootstrap, 14 of 20 at most.
    half = [1.0] * 10 + [0.0] * 10
    assert score_interval(half, seed=0) == bootstrap(half, seed=0)


@pytest.mark.parametrize("size", [20, 60, 100, 150, 500])
def test_an_interval_never_shrinks_where_the_score_rises(size) -> None:
    # With one seed the same questions are drawn each time, so the bootstrap rises as well. In the middle nothing joins.
    counts = sorted({*range(14), *range(0, size, max(size // 10, 1)), *range(size - 13, size + 1)} & {*range(size + 1)})
    found = [score_interval([1.0] * right + [0.0] * (size - right), seed=1) for right in counts]
    assert all(one.high <= other.high and one.low <= other.low for one, other in pairwise(found))


def test_scores_between_0_and_1_reach_no_less_far_than_0_and_1_do() -> None:
    # Of 20: as far as if all had 0, and with one half of 20 no less.
    interval = score_interval([0.5] + [0.0] * 19, seed=2)
    assert (interval.low, interval.high) == pytest.approx((0.0, 0.1684), abs=1e-4)
    values = [0.1 * (number % 10) for number in range(100)]
    assert score_interval(values, seed=2) == bootstrap(values, seed=2)


def test_support_is_that_of_all_passages_retrieved_and_a_failed_question_has_none() -> None:
    scores = score(_predictions(), seed=0)
    # q1 found both of its two and nothing else, q2 its only one; q3 and q4 name none.
    assert (scores.support_questions, scores.support.exact_match, scores.support.f1) == (2, 1.0, 1.0)
    # Joint F1: 1 for q1; q2's answer has precision 1/2 and recall 1, F1 2/3.
    assert scores.support.joint_f1 == pytest.approx((1 + 2 / 3) / 2)
    assert scores.support.joint_exact_match == 0.5
    failed = predictions_of([RIGHT], {}, {}, closed_rule=True)
    finished = predictions_of([NEAR], {"q2": _finished()["q2"]}, {}, closed_rule=True)
    assert score([*failed, *finished], seed=0).support.recall == 0.5


def test_a_passage_beyond_the_gold_ones_costs_precision() -> None:
    found = {"q1": [_trajectory(RIGHT, "Hee Haw", StopReason.ANSWERED, [("1", "3"), ("2", "4")])]}
    support = score(predictions_of([RIGHT], found, {}, closed_rule=True), seed=0).support
    # Titles 1 and 2 of four passages; nobody showed passage 4, it counts all the same.
    assert (support.precision, support.recall, support.exact_match) == (0.5, 1.0, 0.0)


def test_of_several_paths_the_most_frequent_answer_is_taken_and_all_tokens_count() -> None:
    paths = [
        _trajectory(RIGHT, "Opry", StopReason.ANSWERED, [("1",)]),
        _trajectory(RIGHT, "Hee Haw", StopReason.ANSWERED, [("1",), ("2",)]),
        _trajectory(RIGHT, "the hee-haw", StopReason.ANSWERED, [("3",)]),
        _trajectory(RIGHT, "Hee Haw!", StopReason.ANSWERED, [("3",)]),
        _trajectory(RIGHT, "", StopReason.STEP_LIMIT, [("3",)]),
    ]
    prediction = predictions_of([RIGHT], {"q1": paths}, {}, closed_rule=True)[0]
    # "the hee-haw" is "heehaw": another answer. Two say "hee haw", the first of them stands for both.
    assert (prediction.answer, prediction.votes, prediction.paths) == ("Hee Haw", 2, 5)
    assert prediction.retrieved == (("1",), ("2",))
    assert prediction.recall[-1].all == 1.0
    assert (prediction.usage.prompt_tokens, prediction.usage.completion_tokens) == (600, 60)
    scores = score([prediction], seed=0)
    assert (scores.paths, scores.agreement, scores.quality.tokens) == (5.0, 0.4, 660.0)
    assert "| paths that agree, % | 40.0 |" in markdown("", [], score_tables(scores))


def test_an_empty_answer_is_right_by_musiques_rule_where_the_gold_answer_is_all_articles() -> None:
    question = Question("q", "Which band?", ("The The",))
    found = {"q": [_trajectory(question, "", StopReason.STEP_LIMIT, [("1",)])]}
    assert predictions_of([question], found, {}, closed_rule=False)[0].f1 == 1.0
    assert predictions_of([question], found, {}, closed_rule=True)[0].exact_match == 0.0
    assert predictions_of([question], {}, {}, closed_rule=False)[0].f1 == 0.0


def test_questions_of_the_training_are_counted_and_the_others_scored_apart() -> None:
    trained = Trained(frozenset({id_hash("q1")}), frozenset({question_hash("which county")}))
    scores = score(_predictions(), seed=0, trained=trained)
    assert scores.contamination == Contamination(questions=4, trained=1, by_id=1, by_text=1, either=2)
    assert scores.unseen is not None
    assert (scores.unseen.questions, scores.unseen.exact_match) == (2, 0.0)
    assert "| not trained on | 2 |" in markdown("", [], score_tables(scores))
    assert score(_predictions(), seed=0).contamination is None


def test_a_prediction_is_a_line_of_json_with_its_steps() -> None:
    row = json.loads(json.dumps(prediction_row(_predictions()[0])))
    assert row["stop"] == "answered"
    assert row["failure"] is None
    assert row["steps"][1] == {"query": "query 2", "retrieved": ["2"], "rationale": "r2"}
    assert json.loads(json.dumps(prediction_row(_predictions()[2])))["failure"] == "timeout"


def test_the_scores_are_json_and_the_page_shows_every_table() -> None:
    scores = score(_predictions(), seed=0, stages={"reasoning_expansion": StageScore(0.5, 0.875, 40)})
    assert json.loads(json.dumps(asdict(scores)))["quality"]["questions"] == 4
    page = markdown("Evaluation", ["Words."], score_tables(scores))
    assert "| EM | 25.0 |" in page
    assert "| failed: timeout | 1 |" in page
    assert "| 1 to 2 | 100.0 | 100.0 | 100.0 |" in page
    # None of two right: up to 1 − 0.025^(1/2) of all such questions; no tokens, since neither was finished.
    none = "0.0 (0.0 to 84.2)"
    assert f"| comparison | 2 | {none} | {none} | {none} | {none} | 0 |" in page
    # Neither of two has F1 0, nor Acc: down to 0.025^(1/2).
    assert "| bridge | 2 | 50.0 (0.0 to 100.0) | 83.3 (15.8 to 100.0) | 100.0 (15.8 to 100.0) |" in page
    assert "## Scores of 4 questions, 220 tokens each" in page
    assert "| reasoning_expansion | 0.5000 | 87.5 | 40 |" in page
    assert "\n\n\n" not in page


def test_a_table_with_one_group_is_left_out() -> None:
    titles = [table.title for table in score_tables(score(_predictions()[:2], seed=0))]
    assert not any(title.startswith("By ") for title in titles)


def _predictions() -> list[Prediction]:
    failed = {"q3": FailureKind.TIMEOUT}
    return predictions_of([RIGHT, NEAR, FAILED, MISSING], _finished(), failed, closed_rule=True)


def _finished() -> dict[str, list[Trajectory]]:
    return {
        "q1": [_trajectory(RIGHT, "Hee Haw", StopReason.ANSWERED, [("1",), ("2",)])],
        "q2": [_trajectory(NEAR, "Elmton, Barra", StopReason.FORCED_ANSWER, [("3",)], forced=True)],
    }


def _trajectory(
    question: Question, answer: str, stop: StopReason, found: list[tuple[str, ...]], *, forced: bool = False
) -> Trajectory:
    usage = Usage(prompt_tokens=100, cached_tokens=40, completion_tokens=10, seconds=0.5)
    steps = [
        Step(f"query {number}", ids, _passages(ids), f"r{number}", 0, usage)
        for number, ids in enumerate(found, start=1)
    ]
    if forced:
        steps.append(Step("", (), (), f"So the answer is: {answer}", 0, usage))
    return Trajectory(question, 0, tuple(steps), answer, stop)


def _passages(ids: tuple[str, ...]) -> tuple[Passage, ...]:
    titles = {"1": "Roy Clark", "2": "Hee Haw", "3": "Elmton"}
    return tuple(Passage(name, titles[name], "") for name in ids if name in titles)
