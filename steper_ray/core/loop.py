"""The multi-step loop as pure functions: decide the next action, fold in its result. Drivers do the I/O.

state = begin(question)
while True:
    match next_action(state, how):
        case Retrieve(query):  state = fold_passages(state, <k passages for query>, how)
        case Write(prompt):    state = fold_rationale(state, <text>, <usage>, how, cut=<ended by max_tokens>)
        case Finish(trajectory): return trajectory
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from steper_ray.core.answers import extract_answer, holds_marker, settled
from steper_ray.core.prompts import MARKER, build_prompt, forced_prompt
from steper_ray.core.text import squeeze
from steper_ray.core.types import (
    LoopSettings,
    Passage,
    Prompt,
    QueryForm,
    Question,
    Step,
    StopReason,
    Strategy,
    Target,
    Trajectory,
    Usage,
)

_FOLLOW_UP = re.compile(r"follow up:\s*(.+?)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LoopState:
    """Where a trajectory stands: its finished steps, and the step under way once its passages are known."""

    trajectory: Trajectory
    pending: Step | None = None


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Find k passages for the query."""

    query: str


@dataclass(frozen=True, slots=True)
class Write:
    """Let the model write the rationale of step `step` (1-based)."""

    prompt: Prompt
    step: int
    max_tokens: int
    stop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do."""

    trajectory: Trajectory


Action = Retrieve | Write | Finish


def begin(question: Question, path: int = 0) -> LoopState:
    """The state before the first retrieval."""
    return LoopState(Trajectory(question, path))


def resume(question: Question, finished: Sequence[Step], how: LoopSettings, path: int = 0) -> LoopState:
    """The state after steps that were finished elsewhere; none: as `begin`."""
    if not finished:
        return begin(question, path)
    rationale = finished[-1].rationale
    answer = extract_answer(rationale)
    forced = len(finished) > how.step_limit
    stop = _stop_reason(rationale, answer, forced, at_limit=len(finished) >= how.step_limit)
    return LoopState(Trajectory(question, path, tuple(finished), answer, stop))


def cut_short(state: LoopState) -> LoopState:
    """The same between two steps, as if the step limit were reached: what is left is a forced answer, or nothing."""
    assert state.pending is None, "cut_short comes between two steps"
    return LoopState(replace(state.trajectory, stop=StopReason.STEP_LIMIT))


def next_action(state: LoopState, how: LoopSettings, *, force_answer: bool = False) -> Action:
    """What to do next; with `force_answer`, a trajectory at its step limit gets one completion that answers."""
    trajectory = state.trajectory
    if trajectory.stop is StopReason.STEP_LIMIT and force_answer:
        return Write(forced_prompt(trajectory, how), len(trajectory.steps) + 1, how.rationale_tokens, ("\n",))
    if trajectory.stop is not None:
        return Finish(trajectory)
    if state.pending is None:
        return Retrieve(query(trajectory, how))
    prompt = build_prompt(trajectory.question, trajectory.steps, state.pending.passages, how)
    return _write(prompt, len(trajectory.steps) + 1, how)


def query(trajectory: Trajectory, how: LoopSettings) -> str:
    """The query of the next step: the question, then question + last rationale (or what `how` says)."""
    question = squeeze(trajectory.question.text)
    if not trajectory.steps or not trajectory.steps[-1].rationale:
        return question
    rationale = trajectory.steps[-1].rationale
    if how.strategy is Strategy.SELF_ASK and (follow_up := _FOLLOW_UP.search(rationale)):
        return follow_up.group(1)
    return rationale if how.query_form is QueryForm.RATIONALE else f"{question} {rationale}"


def fold_passages(
    state: LoopState, found: Sequence[Passage], how: LoopSettings, search_seconds: float = 0.0
) -> LoopState:
    """Begin a step with the passages found: those already shown are left out, without backfill, up to the cap."""
    trajectory = state.trajectory
    seen = {passage.id for step in trajectory.steps for passage in step.passages}
    room = max(how.passages_cap - len(seen), 0)
    new: dict[str, Passage] = {}
    for passage in found:
        if passage.id not in seen:
            new.setdefault(passage.id, passage)
    shown = tuple(new.values())[:room]
    step = Step(query(trajectory, how), tuple(passage.id for passage in found), shown, search_seconds=search_seconds)
    return LoopState(trajectory, step)


def fit_passages(state: LoopState, how: LoopSettings, fits: Callable[[Prompt], bool]) -> LoopState | None:
    """Leave out the lowest-ranked new passages of the step under way until its prompt fits.

    Returns:
        The state with `left_out` counted, or None when the prompt is too long even without new passages.
    """
    assert state.pending is not None, "fit_passages needs a step under way"
    passages = state.pending.passages
    for kept in range(len(passages), -1, -1):
        prompt = build_prompt(state.trajectory.question, state.trajectory.steps, passages[:kept], how)
        if fits(prompt):
            left_out = state.pending.left_out + len(passages) - kept
            step = replace(state.pending, passages=passages[:kept], left_out=left_out)
            return LoopState(state.trajectory, step)
    return None


def fold_rationale(state: LoopState, text: str, usage: Usage, how: LoopSettings, *, cut: bool = False) -> LoopState:
    """Finish the step under way with what the model wrote, or a trajectory at its limit with a forced answer.

    With `cut` the token limit ended the completion: an answer counts then only if its line is whole, or had all the
    room to itself.
    """
    trajectory = state.trajectory
    forced = trajectory.stop is StopReason.STEP_LIMIT
    if cut and not forced:
        text = settled(text, by_line=how.target is Target.CUMULATIVE)
    rationale = read_rationale(f"{MARKER} {text}" if forced else text, how)
    step = replace(state.pending or Step("", (), ()), rationale=rationale, usage=usage)
    steps = (*trajectory.steps, step)
    answer = extract_answer(rationale)
    stop = _stop_reason(rationale, answer, forced, at_limit=len(steps) >= how.step_limit)
    return LoopState(replace(trajectory, steps=steps, answer=answer, stop=stop))


def read_rationale(text: str, how: LoopSettings) -> str:
    """The one-line rationale in a completion; in `cumulative` its last line, at most the first with the marker."""
    lines = [line for line in map(squeeze, text.splitlines()) if line]
    if not lines:
        return ""
    if how.target is Target.STEP:
        return lines[0]
    return next((line for line in lines if holds_marker(line)), lines[-1])


def _write(prompt: Prompt, step: int, how: LoopSettings) -> Write:
    if how.target is Target.CUMULATIVE:
        # All steps alike: a student that was trained on whole chains alone (vanilla_kd) writes all of one at once.
        return Write(prompt, step, how.rationale_tokens * how.step_limit, ())
    return Write(prompt, step, how.rationale_tokens, ("\n",))


def _stop_reason(rationale: str, answer: str, forced: bool, *, at_limit: bool) -> StopReason | None:
    if holds_marker(rationale):
        if not answer:
            return StopReason.EMPTY_ANSWER
        return StopReason.FORCED_ANSWER if forced else StopReason.ANSWERED
    return StopReason.STEP_LIMIT if at_limit else None
