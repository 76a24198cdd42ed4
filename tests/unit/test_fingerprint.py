"""What the fingerprint of trajectories depends on."""

from typing import Any

from steper_ray.core.types import Layout, LoopSettings, System, Target
from steper_ray.drive.fingerprint import fingerprint_parts
from steper_ray.sections.model import ModelSection

STEP = LoopSettings(rationale_tokens=48, step_limit=5)
CUMULATIVE = LoopSettings(rationale_tokens=48, step_limit=5, layout=Layout.APPENDED, target=Target.CUMULATIVE)


def parts(how: LoopSettings, system: System = System.MULTI_STEP) -> dict[str, Any]:
    return fingerprint_parts(how, ModelSection(backend="scripted"), None, (), {}, system)


def test_the_room_of_a_completion_counts_where_it_may_hold_a_whole_chain() -> None:
    assert "room" not in parts(STEP)
    assert parts(CUMULATIVE)["room"] == parts(STEP, System.ONE_STEP)["room"] == 240
    assert "room" not in parts(CUMULATIVE, System.CLOSED_BOOK)
