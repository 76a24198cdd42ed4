"""Baselines that answer in one completion, as pure functions: closed-book, and after one retrieval.

Neither belongs to the loop: they are what it is compared with.
"""

from collections.abc import Sequence
from dataclasses import replace

from steper_ray.core.answers import extract_answer, holds_marker, settled
from steper_ray.core.prompts import MARKER, build_prompt, passage_block, with_demonstrations
from steper_ray.core.text import squeeze
from steper_ray.core.types import (
    LoopSettings,
    Message,
    Passage,
    Prompt,
    Question,
    Step,
    StopReason,
    System,
    Target,
    Trajectory,
    Usage,
)

_INSTRUCTIONS = {
    System.ONE_STEP: (
        "Answer the question from the passages alone. Write the facts that are needed, one sentence each, and then: "
        f"{MARKER} …"
    ),
    System.CLOSED_BOOK: f"Answer the question with a name, a number, a few words, or yes or no. Write: {MARKER} …",
}


def direct_prompt(question: Question, passages: Sequence[Passage], system: System, how: LoopSettings) -> Prompt:
    """The prompt of the one completion.

    With one retrieval and `loop.target=cumulative` it is the loop's own first prompt: a student trained so (vanilla_kd
    first of all) has learned to write all of the reasoning there. Closed-book, the turn already starts with the marker.

    Args:
        question: the question.
        passages: those retrieved, in the order found; not looked at when closed-book.
        system: `one_step` or `closed_book`.
        how: the loop's settings.
    """
    text = squeeze(question.text)
    if system is System.CLOSED_BOOK:
        return Prompt((Message("user", f"{_INSTRUCTIONS[system]}\n\nQuestion: {text}"),), continuation=MARKER)
    if how.target is Target.CUMULATIVE:
        return build_prompt(question, (), passages, how)
    parts = [_INSTRUCTIONS[system], passage_block(passages), f"Question: {text}"]
    return Prompt((Message("user", "\n\n".join(parts)),))


def direct_tokens(system: System, how: LoopSettings) -> int:
    """Most tokens of the one completion: what the loop may write in all its steps, or one rationale."""
    return how.rationale_tokens * (how.step_limit if system is System.ONE_STEP else 1)


def direct_stop(system: System) -> tuple[str, ...]:
    """What ends the one completion besides the end of turn."""
    return ("\n",) if system is System.CLOSED_BOOK else ()


def with_worked_examples(prompt: Prompt, examples: Sequence[Trajectory], system: System) -> Prompt:
    """The same prompt behind worked examples; closed-book these are questions and answers alone."""
    if system is not System.CLOSED_BOOK or not examples:
        return with_demonstrations(prompt, examples)
    first, *rest = prompt.messages
    shown = [f"Example\n\nQuestion: {squeeze(one.question.text)}\n\n{MARKER} {one.answer}." for one in examples]
    return Prompt((Message(first.role, "\n\n".join([*shown, first.content])), *rest), prompt.continuation)


def read_direct(text: str, system: System, *, cut: bool) -> str:
    """What counts of the one completion; `cut`: the token limit ended it. Closed-book it is nothing but the answer."""
    return settled(text, by_line=False) if cut and system is System.ONE_STEP else text


def fold_direct(question: Question, path: int, step: Step, text: str, usage: Usage, system: System) -> Trajectory:
    """The trajectory of one completion; without an answer it ends like a loop at its step limit.

    Args:
        question: the question.
        path: number of the path.
        step: the retrieval; empty when closed-book.
        text: what the model wrote, as far as it counts.
        usage: its cost.
        system: which baseline; a closed-book completion continues the marker.
    """
    line = _until_answer(text)
    if system is System.CLOSED_BOOK and not holds_marker(line):
        line = squeeze(f"{MARKER} {line}")
    return _finished(question, path, (replace(step, rationale=line, usage=usage),))


def forced_direct_prompt(prompt: Prompt, text: str) -> Prompt:
    """The prompt of a further completion that must answer: what was written, and the marker behind it."""
    return Prompt(prompt.messages, continuation="\n".join(filter(None, [text.strip(), MARKER])))


def fold_forced_direct(trajectory: Trajectory, text: str, usage: Usage) -> Trajectory:
    """The trajectory with its forced answer, which stands in a step of its own, as the loop's does."""
    line = _until_answer(text if holds_marker(text) else f"{MARKER} {text}")
    step = Step("", (), (), line, usage=usage)
    ended = _finished(trajectory.question, trajectory.path, (*trajectory.steps, step))
    return replace(ended, stop=StopReason.FORCED_ANSWER) if ended.answer else ended


def _until_answer(text: str) -> str:
    """One line of all that was written, up to the end of the line that answers."""
    lines: list[str] = []
    for line in text.splitlines():
        lines.append(line)
        if holds_marker(line):
            break
    return squeeze(" ".join(lines))


def _finished(question: Question, path: int, steps: tuple[Step, ...]) -> Trajectory:
    line = steps[-1].rationale
    answer = extract_answer(line)
    if answer:
        return Trajectory(question, path, steps, answer, StopReason.ANSWERED)
    stop = StopReason.EMPTY_ANSWER if holds_marker(line) else StopReason.STEP_LIMIT
    return Trajectory(question, path, steps, "", stop)
