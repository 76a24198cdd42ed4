"""What all trajectories of a folder add up to, over every execution that wrote them: tokens, steps, recall."""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steper_ray.core.recall import Recall, passages_shown, recall_by_step
from steper_ray.core.types import Trajectory
from steper_ray.data.schemas import TRAJECTORIES, read_rows, trajectory_of
from steper_ray.drive.ledger import Key

STATS_FILE = "stats.json"


@dataclass
class Totals:
    """Sums over finished trajectories; nothing of any one of them is held."""

    step_limit: int
    trajectories: int = 0
    judged: int = 0
    """Trajectories whose question has a gold answer."""
    correct: int = 0
    """Of those judged."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    passages_left_out: int = 0
    """New passages that the model's length had no room for."""
    stops: Counter[str] = field(default_factory=Counter)
    steps: Counter[int] = field(default_factory=Counter)
    """Trajectories by their number of steps."""
    with_gold: int = 0
    """Trajectories whose question names its supporting passages."""
    any: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)
    fraction: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.any, self.all, self.fraction = ([0.0] * self.step_limit for _ in range(3))

    def add(self, trajectory: Trajectory, *, correct: bool | None) -> None:
        """Count a trajectory; `correct` is None without a gold answer.

        Titles are known of passages that it showed; beyond the cap a passage has none.
        """
        assert trajectory.stop is not None
        self.trajectories += 1
        self.judged += correct is not None
        self.correct += bool(correct)
        self.stops[trajectory.stop.value] += 1
        self.steps[len(trajectory.steps)] += 1
        for step in trajectory.steps:
            self.prompt_tokens += step.usage.prompt_tokens
            self.cached_tokens += step.usage.cached_tokens
            self.completion_tokens += step.usage.completion_tokens
            self.passages_left_out += step.left_out
        values = recall_by_step(trajectory, passages_shown([trajectory]), self.step_limit)
        self.with_gold += bool(values)
        for number, value in enumerate(values):
            self.any[number] += value.any
            self.all[number] += value.all
            self.fraction[number] += value.fraction

    def recall(self) -> list[Recall]:
        """Mean recall of the supporting passages up to each step; empty where no question names any."""
        if not self.with_gold:
            return []
        sums = zip(self.any, self.all, self.fraction, strict=True)
        return [Recall(*(value / self.with_gold for value in values)) for values in sums]

    def facts(self) -> dict[str, Any]:
        """For `stats.json`."""
        return {
            "trajectories": self.trajectories,
            "judged": self.judged,
            "correct": self.correct if self.judged else None,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "cache_hit_rate": round(self.cached_tokens / self.prompt_tokens, 4) if self.prompt_tokens else 0.0,
            "completion_tokens": self.completion_tokens,
            "passages_left_out": self.passages_left_out,
            "stop_reasons": dict(sorted(self.stops.items())),
            "steps": {str(number): count for number, count in sorted(self.steps.items())},
            "questions_with_gold_passages": self.with_gold,
            "recall_by_step": [
                {"any": round(value.any, 4), "all": round(value.all, 4), "fraction": round(value.fraction, 4)}
                for value in self.recall()
            ],
        }


def totals_of(trajectories: Path, asked: Container[Key], step_limit: int) -> Totals:
    """Add up the trajectories that were asked for; the folder may hold more, from an earlier run without a limit."""
    totals = Totals(step_limit)
    for row in read_rows(trajectories, TRAJECTORIES):
        if (row["question_id"], row["path"]) in asked:
            totals.add(trajectory_of(row), correct=row["correct"])
    return totals
