"""What the results of the benchmarks say about how they were measured."""

import json

import pytest

from benchmarks import generate, scale
from benchmarks.harness import ROOT


def test_contenders_that_ran_once_are_named_beside_those_of_several_repeats() -> None:
    run: dict[str, object] = {}
    assert "ray_data_llm, ours_appended ran once, in the first of 3 repeats" in "\n".join(
        generate._notes({"ours": [run] * 3, "ray_data_llm": [run], "ours_appended": [run]})
    )
    assert "ran once" not in "\n".join(generate._notes({"ours": [run], "ray_data_llm": [run]}))


@pytest.mark.parametrize(
    ("name", "notes", "of"), [("generate", generate._notes, "repeats"), ("scale", scale._notes, "medians")]
)
def test_the_committed_results_carry_the_notes_of_their_runs(name: str, notes, of: str) -> None:
    committed = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    assert committed["notes"] == notes(committed[of])
