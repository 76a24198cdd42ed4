"""Tables of goals in the documents: what they say was measured is what the committed results say."""

import json
import re
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def assert_goals_told(page: str, *benchmarks: str) -> None:
    """Every goal of these benchmarks stands in the page, with what was measured and whether that meets it."""
    results = [json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in benchmarks]
    ratios = {name: value for result in results for name, value in result["ratios"].items()}
    rows = re.findall(r"^\| `(\w+)`: .* \| ([≥≤]) ([\d.]+) \| ([\d.]+) \| (met|missed) \|$", page, re.MULTILINE)
    goals = {name: f"{sign} {goal}" for name, sign, goal, _, _ in rows}
    assert goals == {name: goal for result in results for name, goal in result["goals"].items()}
    for name, sign, goal, measured, verdict in rows:
        assert float(measured) == ratios[name], name
        met = float(measured) >= float(goal) if sign == "≥" else float(measured) <= float(goal)
        assert verdict == ("met" if met else "missed"), name
