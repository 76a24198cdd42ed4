"""docs/generation.md: what it says was measured is what the committed results say, goals that were missed included."""

import json
import re
from pathlib import Path

from steper_ray.drive.stats import LoopStats

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "generation.md").read_text(encoding="utf-8")
GENERATE, SCALE = (
    json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("generate", "scale")
)
GOALS, RATIOS = GENERATE["goals"] | SCALE["goals"], GENERATE["ratios"] | SCALE["ratios"]


def test_every_goal_stands_there_with_what_was_measured_and_whether_it_was_met() -> None:
    rows = re.findall(r"^\| `(\w+)`: .* \| ([≥≤]) ([\d.]+) \| ([\d.]+) \| (met|missed) \|$", PAGE, re.MULTILINE)
    assert {name: f"{sign} {goal}" for name, sign, goal, _, _ in rows} == GOALS
    for name, sign, goal, measured, verdict in rows:
        assert float(measured) == RATIOS[name], name
        met = float(measured) >= float(goal) if sign == "≥" else float(measured) <= float(goal)
        assert verdict == ("met" if met else "missed"), name


def test_every_part_of_a_questions_time_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \| [a-z]", PAGE, re.MULTILINE)
    assert explained == list(LoopStats().times())
