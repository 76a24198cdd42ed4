"""One trajectory for a terminal: each step's query, passages, rationale and cost; answer against gold; its fate."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from steper_ray.core.answers import best, exact_match, f1, is_correct
from steper_ray.core.samples import stage_of
from steper_ray.core.text import printable, squeeze
from steper_ray.core.types import STAGE_TERMS, DropReason, Passage, Question, Step, Trajectory, Usage
from steper_ray.look.findings import Attempt
from steper_ray.look.words import REASONS

_CHARACTERS = 320
"""Most of a passage that is shown."""


def show_trajectory(trajectory: Trajectory, fate: Text, attempts: Sequence[Attempt] = ()) -> RenderableType:
    """A whole trajectory; `fate` says what became of it."""
    parts: list[RenderableType] = [_title(trajectory.question.id, trajectory.path), _facts(trajectory, fate)]
    titles: dict[str, str] = {}
    for number, step in enumerate(trajectory.steps, start=1):
        titles.update((passage.id, passage.title) for passage in step.passages)
        parts += [Text(), _step(trajectory, number, step, titles)]
    if attempts:
        parts += [Text(), Text("Failed before it was finished", style="bold"), _attempts(attempts)]
    return Group(*parts, Text())


def show_failure(question_id: str, path: int, attempts: Sequence[Attempt]) -> RenderableType:
    """A question and path without a trajectory."""
    kind = attempts[-1].kind
    again = "the next run tries it again" if kind.transient else "tried again only with generate.retry_permanent=true"
    return Group(_title(question_id, path), Text(f"failed: {kind}; {again}", style="red"), _attempts(attempts), Text())


def kept_or_dropped(trajectory: Trajectory, reason: DropReason | None, majority: str | None) -> Text:
    """What the samples job makes of a trajectory, and why."""
    if reason is not None:
        text = Text(f"dropped: {reason}", style="yellow")
        text.append(f", {REASONS[reason]}", style="default")
    else:
        steps = len(trajectory.steps)
        terms = [STAGE_TERMS[stage_of(number, steps)] for number in range(1, steps + 1)]
        text = Text(f"kept: {steps} sample{'s' * (steps != 1)}", style="green").append(f" ({', '.join(terms)})")
    if majority is not None:
        text.append(f"; the majority says: {printable(majority)}", style="default")
    return text


def right_or_wrong(trajectory: Trajectory) -> Text:
    """Whether a trajectory of an evaluation is right."""
    right = is_correct(trajectory.answer, trajectory.question.golden_answers)
    return Text("right", style="green") if right else Text("wrong" if trajectory.answer else "no answer", style="red")


def _title(question_id: str, path: int) -> RenderableType:
    name = printable(question_id) + (f" · path {path}" if path else "")
    return Rule(Text(name, style="bold"), align="left")


def _facts(trajectory: Trajectory, fate: Text) -> RenderableType:
    question = trajectory.question
    facts = _grid()
    facts.add_row("Question", Text(printable(question.text), style="bold"))
    if about := ", ".join([question.kind] * bool(question.kind) + [f"{question.hops} hops"] * bool(question.hops)):
        facts.add_row("Kind", Text(printable(about)))
    golds = " | ".join(map(printable, question.golden_answers))
    facts.add_row("Gold", Text(golds) if golds else Text("not known", style="dim"))
    facts.add_row("Answer", _answer(trajectory))
    if found := _gold_found(trajectory):
        facts.add_row("Passages", found)
    facts.add_row("Outcome", fate)
    return facts


def _answer(trajectory: Trajectory) -> Text:
    golds = trajectory.question.golden_answers
    text = Text(printable(trajectory.answer) or "none", style="bold" if trajectory.answer else "dim")
    if golds:
        em, overlap = best(exact_match, trajectory.answer, golds), best(f1, trajectory.answer, golds)
        text.append(f"   EM {em:.0f} · F1 {overlap:.2f}", style="green" if em else "yellow")
    return text.append(f" · {trajectory.stop}", style="dim")


def _gold_found(trajectory: Trajectory) -> Text | None:
    question = trajectory.question
    gold = [*question.gold_ids] or [squeeze(title) for title in question.gold_titles]
    if not gold:
        return None
    shown = [passage for step in trajectory.steps for passage in step.passages]
    seen = {passage.id if question.gold_ids else squeeze(passage.title) for passage in shown}
    missing = [name for name in gold if name not in seen]
    text = Text(f"{len(gold) - len(missing)} of {len(gold)} gold passages shown")
    return text.append(f"; not: {', '.join(map(printable, missing))}", style="yellow") if missing else text


def _step(trajectory: Trajectory, number: int, step: Step, titles: dict[str, str]) -> RenderableType:
    heading = Text(f"Step {number}", style="bold")
    heading.append(f" · {printable(step.query)}" if step.query else " · forced answer, nothing retrieved")
    parts: list[RenderableType] = [_passage(trajectory.question, passage) for passage in step.passages]
    shown = {passage.id for passage in step.passages}
    if again := [titles[name] for name in step.retrieved if name not in shown and name in titles]:
        parts.append(Text(f"found again: {', '.join(map(printable, again))}", style="dim"))
    if step.query and not step.passages:
        parts.append(Text("no new passage", style="dim"))
    if step.left_out:
        parts.append(Text(f"{step.left_out} left out, the prompt would be too long", style="yellow"))
    parts.append(Text("→ ", style="bold").append(printable(step.rationale) or "nothing was written", style="default"))
    if step.usage != Usage():  # recordings cost nothing
        parts.append(Text(_cost(step), style="dim"))
    return Group(heading, *(Padding(part, (0, 0, 0, 2), expand=False) for part in parts))


def _passage(question: Question, passage: Passage) -> RenderableType:
    gold = passage.id in question.gold_ids or squeeze(passage.title) in map(squeeze, question.gold_titles)
    line = Text("★ gold " if gold else "", style="bold green")
    line.append(f"[{passage.score:.2f}] {printable(passage.title)}: ", style="green" if gold else "cyan")
    text = printable(passage.text)
    line.append(text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…", style="dim")
    return line


def _cost(step: Step) -> str:
    usage = step.usage
    return (
        f"{usage.prompt_tokens:,} prompt tokens ({usage.cached_tokens:,} cached), {usage.completion_tokens:,} written, "
        f"{usage.seconds:.2f} s"
    )


def _attempts(attempts: Sequence[Attempt]) -> RenderableType:
    lines = _grid()
    for attempt in attempts:
        lines.add_row(f"attempt {attempt.number}", Text(f"{attempt.kind}: {printable(attempt.message)}"))
    return lines


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(ratio=1)
    return grid
