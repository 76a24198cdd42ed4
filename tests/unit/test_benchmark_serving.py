"""What `benchmarks/serve.py` concludes from times."""

from typing import Any

import pytest

from benchmarks.serve import _ceiling
from benchmarks.serving.clients import Watched
from benchmarks.serving.service import _busy_rate, _overhead


def step(question: str, arrived: float, answered: float) -> dict[str, Any]:
    return {"question": question, "arrived": arrived, "answered": answered}


def test_the_overhead_is_told_over_all_steps_and_of_the_median_question() -> None:
    # Waits beyond the engine: 0.02 s over two steps, 0.03 s over one, 0.1 s over two.
    found = Watched(latencies=[1.02, 0.53, 1.1], steps=5)
    steps = [
        step("b", 1.1, 1.6),
        step("a", 0.0, 0.4),
        step("a", 0.4, 1.0),
        step("c", 2.0, 2.5),
        step("c", 2.6, 3.1),
    ]
    told = _overhead(steps, found)
    assert told["overhead_ms_per_step"] == pytest.approx(30)
    assert told["overhead_ms_per_step_median"] == pytest.approx(30)
    found.latencies[0] = 1.0
    told = _overhead(steps, found)
    assert told["overhead_ms_per_step"] == pytest.approx(26)
    assert told["overhead_ms_per_step_median"] == pytest.approx(30)


def test_an_answered_question_that_the_engine_never_saw_is_no_result() -> None:
    with pytest.raises(ValueError, match="shorter"):
        _overhead([step("a", 0.0, 0.4)], Watched(latencies=[0.5, 0.5], steps=2))


def test_the_busy_rate_counts_steps_answered_while_all_clients_asked() -> None:
    # 3 of 6 steps within the 10 s to 14 s in which no client had run dry; two answers have 6 steps.
    found = Watched(started=10.0, drained=14.0, ended=20.0, latencies=[3.0, 9.0], steps=6)
    steps = [step("a", 10.0, end) for end in (11.0, 12.0, 14.0, 14.5, 16.0, 20.0)]
    assert _busy_rate(steps, found) == pytest.approx(3 / 4 * 2 / 6)


def test_the_ceiling_is_the_best_rate_and_begins_where_nearly_all_of_it_is_reached() -> None:
    figures = {"rps_1": 10.0, "rps_2": 94.9, "rps_4": 95.0, "rps_8": 100.0, "rps_16": 60.0, "p50_s_8": 500.0}
    told = {ratio.name: ratio.value for ratio in _ceiling({**figures, "ingress_rps": 700.0})}
    assert told == {"scripted_rps": 100.0, "scripted_saturates_at": 4, "ingress_rps": 700.0}
