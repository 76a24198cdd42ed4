"""Sums over trajectories, computed by hand."""

from steper_ray.core.recall import Recall
from steper_ray.core.types import Passage, Question, Step, StopReason, Trajectory, Usage
from steper_ray.generate.totals import Totals

P1, P2, P3 = (Passage(f"p{n}", f"Title {n}", "text") for n in (1, 2, 3))
ASKED = Question("q1", "Who?", ("x",), gold_titles=("Title 1", "Title 3"))


def step(passages: tuple[Passage, ...], usage: Usage, left_out: int = 0) -> Step:
    return Step("query", tuple(passage.id for passage in passages), passages, "r", left_out, usage)


def test_tokens_stops_and_recall_add_up_over_trajectories() -> None:
    totals = Totals(step_limit=3)
    first = Trajectory(
        ASKED,
        steps=(step((P1, P2), Usage(100, 0, 10)), step((P3,), Usage(150, 96, 20), left_out=2)),
        answer="x",
        stop=StopReason.ANSWERED,
    )
    second = Trajectory(ASKED, 1, (step((P2,), Usage(50, 4, 5)),), stop=StopReason.STEP_LIMIT)
    totals.add(first, correct=True)
    totals.add(second, correct=False)
    # Step 1: first trajectory found one of two, the second none; step 2: the first found both.
    assert totals.recall() == [Recall(0.5, 0.0, 0.25), Recall(0.5, 0.5, 0.5), Recall(0.5, 0.5, 0.5)]
    facts = totals.facts()
    assert facts["trajectories"] == 2
    assert facts["correct"] == 1
    assert (facts["prompt_tokens"], facts["cached_tokens"], facts["completion_tokens"]) == (300, 100, 35)
    assert facts["cache_hit_rate"] == 0.3333
    assert facts["passages_left_out"] == 2
    assert facts["stop_reasons"] == {"answered": 1, "step_limit": 1}
    assert facts["steps"] == {"1": 1, "2": 1}


def test_without_gold_passages_there_is_no_recall() -> None:
    totals = Totals(step_limit=2)
    totals.add(Trajectory(Question("q", "Who?"), steps=(step((P1,), Usage()),), stop=StopReason.ANSWERED), correct=True)
    assert totals.recall() == []
    assert totals.facts()["recall_by_step"] == []
