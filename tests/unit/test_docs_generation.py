"""docs/generation.md: what it says was measured is what the committed results say, goals that were missed included."""

import json
import re
from pathlib import Path
from statistics import median

from steper_ray.drive.stats import LoopStats
from tests.unit.goal_tables import RESULTS, assert_goals_told

PAGE = (Path(__file__).parents[2] / "docs" / "generation.md").read_text(encoding="utf-8")


def test_every_goal_stands_there_with_what_was_measured_and_whether_it_was_met() -> None:
    assert_goals_told(PAGE, "generate", "scale")


def test_every_part_of_a_questions_time_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \| [a-z]", PAGE, re.MULTILINE)
    assert explained == list(LoopStats().times())


def test_what_the_bare_engine_gains_over_lock_step_is_what_was_measured() -> None:
    runs = json.loads((RESULTS / "generate.json").read_text(encoding="utf-8"))["repeats"]
    wall = {name: [run["wall_s"] for run in done] for name, done in runs.items()}
    everything, eight = (
        median(baseline / raw for baseline, raw in zip(wall[name], wall["raw_engine"], strict=True))
        for name in ("lockstep_all", "lockstep_8")
    )
    by_step = wall["lockstep_all"][0] / wall["raw_engine_by_step"][0]
    said = " ".join(PAGE.split())
    assert f"only {everything:.2f} times as quick as lock-step over the whole set and {eight:.2f} times" in said
    assert f"level with the former ({by_step:.2f}, one run)" in said
