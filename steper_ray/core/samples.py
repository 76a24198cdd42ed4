"""Trajectory → training samples: one per step, its prompt rebuilt by the loop's own builder."""

from collections.abc import Sequence

from steper_ray.core.answers import holds_marker, replace_answer
from steper_ray.core.prompts import build_prompt
from steper_ray.core.types import (
    LoopSettings,
    Sample,
    Stage,
    Step,
    StopReason,
    Target,
    Trajectory,
)


def stage_of(step: int, steps: int) -> Stage:
    """The stage of step s (1-based) in a trajectory of S steps (design: s = S aggregates, whatever else it is)."""
    if step == steps:
        return Stage.AGGREGATION
    return Stage.INITIALIZATION if step == 1 else Stage.EXPANSION


def reasoning(rationales: Sequence[str]) -> tuple[str, ...]:
    """r_1 … r_S up to the marker; the rest of r_S is no part of any sample, the gold answer stands there."""
    return tuple(replace_answer(line, "") if holds_marker(line) else line for line in rationales)


def samples_of(trajectory: Trajectory, how: LoopSettings, answer: str | None = None) -> list[Sample]:
    """One sample per step of an answered trajectory, with the first gold answer in place of the teacher's.

    Args:
        trajectory: a trajectory that answered by itself.
        how: layout and target of the samples.
        answer: what to write in place of a gold answer, such as the majority's.

    Source: paper, equation of the step-wise objective (init (q, P≤1), expansion (q, P≤s), aggregation (q, P≤S)).
    """
    if trajectory.stop is not StopReason.ANSWERED:
        raise ValueError(f"trajectory of question {trajectory.question.id!r} has no answer: {trajectory.stop}")
    gold = trajectory.question.golden_answers[0] if answer is None else answer
    return [_sample(trajectory, number, gold, how) for number in range(1, len(trajectory.steps) + 1)]


def _sample(trajectory: Trajectory, number: int, gold: str, how: LoopSettings) -> Sample:
    steps = trajectory.steps
    finished, step = steps[: number - 1], steps[number - 1]
    shown = [passage.id for earlier in steps[:number] for passage in earlier.passages]
    return Sample(
        question_id=trajectory.question.id,
        path=trajectory.path,
        step=number,
        stage=stage_of(number, len(steps)),
        prompt=build_prompt(trajectory.question, finished, step.passages, how),
        target=_target(steps, number, gold, how.target),
        golden_answer=gold,
        passage_ids=tuple(shown),
    )


def _target(steps: tuple[Step, ...], number: int, gold: str, target: Target) -> str:
    lines = [step.rationale for step in steps[:number]]
    if number == len(steps):
        lines[-1] = replace_answer(lines[-1], gold)
    return lines[-1] if target is Target.STEP else "\n".join(lines)
