"""What `benchmarks/chaos.py` concludes from a calm and a disturbed run, and how it plans."""

from typing import Any

import pytest

from benchmarks.chaos import _cause, _result
from benchmarks.killing.plan import ChaosPlan, sized


def line(update: int, loss: float) -> dict[str, Any]:
    return {"update": update, "total": 1.0, "L_init": loss, "L_exp": None, "L_agg": 2.0}


def found(contents: dict[str, str], rows: int, calls: int, seconds: float, lines: list[dict[str, Any]]) -> Any:
    common = {"seconds": seconds, "submissions": 1, "gave_up": [], "redone": 0}
    generate = {**common, "asked": 2, "contents": contents, "rows": rows, "calls": calls, "needed": 6}
    return {"parts": {"generate": generate, "train": {**common, "lines": lines}}, "kills": [], "by_kind": {}}


def ratios(disturbed: Any) -> dict[str, float]:
    calm = found({"q0": "a", "q1": "b"}, 2, 6, 10.0, [line(1, 1.0), line(2, 0.5)])
    plan = ChaosPlan(questions=2, engine_questions=0, updates=2, kill_every_s=1.0, seed=0)
    return {ratio.name: ratio.value for ratio in _result(plan, calm, disturbed).ratios}


def test_a_run_like_the_calm_one_has_nothing_lost_twice_or_changed() -> None:
    told = ratios(found({"q0": "a", "q1": "b"}, 2, 9, 20.0, [line(1, 1.0), line(2, 0.5)]))
    assert (told["keys_lost"], told["keys_twice"], told["contents_changed"], told["updates_out_of_order"]) == (0,) * 4
    assert told["loss_difference"] == 0
    assert told["redone_share"] == pytest.approx(0.5)
    assert told["slowdown"] == 2


def test_every_difference_from_the_calm_run_is_counted() -> None:
    told = ratios(found({"q1": "c"}, 3, 6, 10.0, [line(2, 1.0), line(1, 0.6)]))
    # q0 is missing and q1 says something else; three rows for one key; both places hold the wrong update.
    assert (told["keys_lost"], told["keys_twice"], told["contents_changed"], told["updates_out_of_order"]) == (
        1,
        2,
        2,
        2,
    )
    assert told["loss_difference"] == pytest.approx(0.2)


def test_the_cause_of_a_driver_that_gave_up_names_no_path() -> None:
    words = "progress\nPhaseFailed: cannot write /tmp/x/y/z.parquet\ndetails: /tmp/a\ncontinue: steper train\n"
    assert _cause(words) == "PhaseFailed: cannot write z.parquet"
    assert _cause("") == "without a word"


def test_a_plan_crosses_a_process_and_grows_with_the_minutes() -> None:
    plan = sized(20.0, 30.0, 7)
    assert ChaosPlan.from_json(plan.to_json()) == plan
    assert (plan.questions, plan.engine_questions, plan.seed) == (1600, 200, 7)
