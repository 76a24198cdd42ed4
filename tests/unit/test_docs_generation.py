"""docs/generation.md: what it says was measured is what the committed results say, goals that were missed included."""

import re
from pathlib import Path

from steper_ray.drive.stats import LoopStats
from tests.unit.goal_tables import assert_goals_told

PAGE = (Path(__file__).parents[2] / "docs" / "generation.md").read_text(encoding="utf-8")


def test_every_goal_stands_there_with_what_was_measured_and_whether_it_was_met() -> None:
    assert_goals_told(PAGE, "generate", "scale")


def test_every_part_of_a_questions_time_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \| [a-z]", PAGE, re.MULTILINE)
    assert explained == list(LoopStats().times())
