"""The one prompt builder: what a model is shown in step s, for generation, training, evaluation and serving alike."""

from collections.abc import Sequence

from steper_ray.core.text import squeeze
from steper_ray.core.types import (
    Layout,
    LoopSettings,
    Message,
    Passage,
    Prompt,
    Question,
    Step,
    Strategy,
    Target,
    Trajectory,
)

PROMPT_VERSION = "1"
"""Changes with every byte of a prompt; stored with trajectories, samples and weights."""

MARKER = "So the answer is:"
"""A rationale that holds the marker is the last of its trajectory."""

NO_NEW_PASSAGES = "No new passages were found."

_INSTRUCTIONS = {
    Strategy.REASONING_PATH: (
        "Answer the question in steps, from the passages alone. In each turn write one or two sentences with the next "
        f"fact that is needed. When nothing is missing, write in a turn of its own: {MARKER} …"
    ),
    Strategy.SELF_ASK: (
        "Answer the question by asking simpler ones, from the passages alone. In the first turn write: Follow up: … "
        "In each later turn answer it and ask the next: Intermediate answer: … Follow up: … "
        f"When nothing is missing, write: Intermediate answer: … {MARKER} …"
    ),
}
_CUMULATIVE = "In each turn write all sentences found so far, one per line, and then the next."


def build_prompt(
    question: Question, finished: Sequence[Step], passages: Sequence[Passage], how: LoopSettings
) -> Prompt:
    """The prompt of step s = len(finished) + 1.

    Args:
        question: the question.
        finished: the s − 1 steps before, with their passages and rationales.
        passages: the new passages of step s, in the order found.
        how: layout, target and strategy.
    """
    if how.layout is Layout.TURNS:
        return Prompt(tuple(_turns(question, finished, passages, how)))
    return Prompt((Message("user", _appended(question, finished, passages, how)),))


def forced_prompt(trajectory: Trajectory, how: LoopSettings) -> Prompt:
    """The prompt of a forced answer: one more turn, without retrieval, that already starts with the marker."""
    prompt = build_prompt(trajectory.question, trajectory.steps, (), how)
    lines = [step.rationale for step in trajectory.steps] if how.target is Target.CUMULATIVE else []
    return Prompt(prompt.messages, continuation="\n".join([*lines, MARKER]))


def with_demonstrations(prompt: Prompt, demonstrations: Sequence[Trajectory]) -> Prompt:
    """The same prompt behind a leading block of worked examples (the teacher's only)."""
    if not demonstrations:
        return prompt
    first, *rest = prompt.messages
    block = "\n\n".join(_demonstration(trajectory) for trajectory in demonstrations)
    return Prompt((Message(first.role, f"{block}\n\n{first.content}"), *rest), prompt.continuation)


def instruction(how: LoopSettings) -> str:
    """The instruction that opens every prompt."""
    text = _INSTRUCTIONS[how.strategy]
    return f"{text} {_CUMULATIVE}" if how.target is Target.CUMULATIVE else text


def _turns(
    question: Question, finished: Sequence[Step], passages: Sequence[Passage], how: LoopSettings
) -> list[Message]:
    opening = f"{instruction(how)}\n\nQuestion: {squeeze(question.text)}\n\n"
    messages = []
    for step in finished:
        messages.append(Message("user", opening + passage_block(step.passages)))
        messages.append(Message("assistant", step.rationale))
        opening = ""
    messages.append(Message("user", opening + passage_block(passages)))
    return messages


def _appended(question: Question, finished: Sequence[Step], passages: Sequence[Passage], how: LoopSettings) -> str:
    shown = [passage for step in finished for passage in step.passages] + list(passages)
    parts = [instruction(how), passage_block(shown), f"Question: {squeeze(question.text)}"]
    if how.target is Target.STEP:
        parts.append("\n".join(["Reasoning so far:", *(step.rationale for step in finished)]))
    return "\n\n".join(parts)


def passage_block(passages: Sequence[Passage]) -> str:
    """Passages as a prompt shows them; a fixed sentence where there are none."""
    if not passages:
        return NO_NEW_PASSAGES
    return "\n".join(["Passages:", *(f"{squeeze(passage.title)}: {squeeze(passage.text)}" for passage in passages)])


def _demonstration(trajectory: Trajectory) -> str:
    shown = [passage for step in trajectory.steps for passage in step.passages]
    reasoning = "\n".join(step.rationale for step in trajectory.steps)
    return (
        f"Example\n\n{passage_block(shown)}\n\nQuestion: {squeeze(trajectory.question.text)}\n\nReasoning:\n{reasoning}"
    )
