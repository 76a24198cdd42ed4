"""The end of the demo: what the teacher knew, what the student learned, how long each phase took."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from steper_ray.core.types import STAGE_TERMS


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts and scores as the phases wrote them, and wall seconds by phase."""

    teacher: Mapping[str, Any]
    untrained: Mapping[str, Any]
    trained: Mapping[str, Any]
    seconds: Mapping[str, float]
    folder: Path

    @property
    def teacher_share(self) -> float:
        """Share of the asked questions that the teacher answered right."""
        return float(self.teacher["used"]) / float(self.teacher["asked"])


def summary_table(summary: Summary) -> RenderableType:
    """Two tables for the terminal: scores before and after, and seconds by phase."""
    scores = Table(title="Student on held-out questions", title_justify="left")
    for heading in ("", "untrained", "trained"):
        scores.add_column(heading, justify="left" if not heading else "right")
    before, after = summary.untrained, summary.trained
    for name, key in (("EM", "exact_match"), ("F1", "f1"), ("Acc", "accuracy_tokens")):
        scores.add_row(name, f"{before['quality'][key]:.1%}", f"{after['quality'][key]:.1%}")
    for stage, term in STAGE_TERMS.items():
        cells = [f"{run['stages'][stage.value]['token_accuracy']:.1%}" for run in (before, after)]
        scores.add_row(f"token accuracy, {term}", *cells)
    times = Table(title="Wall time", title_justify="left")
    times.add_column("phase")
    times.add_column("seconds", justify="right")
    for phase, seconds in summary.seconds.items():
        times.add_row(phase, f"{seconds:.0f}")
    times.add_row("[bold]all", f"[bold]{sum(summary.seconds.values()):.0f}")
    teacher = (
        f"The teacher answered {summary.teacher['used']} of {summary.teacher['asked']} training questions right "
        f"({summary.teacher_share:.0%}); everything lies in {summary.folder}"
    )
    return Group(scores, times, teacher)
