"""Steps, answer and figures for a terminal, where rationales grow as they are written, or for a file."""

from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from steper_ray.core.text import printable

_CHARACTERS = 240
"""Most of a passage that is shown."""


class StepsShown:
    """Prints finished steps for good; on a terminal the step under way is drawn again with each event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=12) if console.is_terminal else None
        self._query, self._passages, self._written = "", list[dict[str, Any]](), ""
        self._number = 0

    def see(self, name: str, data: dict[str, Any]) -> None:
        """Take an event of the stream that is not the last one."""
        match name:
            case "step_started":
                self._query, self._passages, self._written = data["query"], [], ""
                self._number = data["step"]
            case "passages":
                self._passages = data["passages"]
            case "rationale":
                self._written += data["text"]
            case "step_restarted":
                self._written = ""
            case "step_finished":
                self._print(data["rationale"])
                return
        if self._live and self._number:
            self._live.update(step(self._number, self._query, self._passages, f"{self._written}▏"))

    def end(self) -> None:
        """Draw nothing again from here on."""
        if self._live:
            self._live.stop()

    def _print(self, rationale: str) -> None:
        if self._live:
            self._live.update("", refresh=True)
        self._console.print(step(self._number, self._query, self._passages, rationale))
        self._number = 0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def step(number: int, query: str, passages: list[dict[str, Any]], rationale: str) -> RenderableType:
    """One step; nothing in it steers the terminal."""
    # A forced answer retrieves nothing.
    heading = f"Step {number}" + (f" · {printable(query)}" if query else " · forced answer")
    parts: list[RenderableType] = [Text(heading, style="bold")]
    for passage in passages:
        line = Text(f"[{passage['score']:.2f}] {printable(passage['title'])}: ", style="cyan")
        line.append(_cut(printable(passage["text"])), style="dim")
        parts.append(Padding(line, (0, 0, 0, 2)))
    parts.append(Padding(Text(f"→ {printable(rationale)}"), (0, 0, 0, 2)))
    return Group(*parts)


def verdict(answer: dict[str, Any]) -> Text:
    """The answer, or why there is none."""
    partial = " (partial: the deadline came first)" if answer["partial"] else ""
    if answer["answer"]:
        return Text.assemble(("Answer: ", "bold"), (printable(answer["answer"]), "bold green"), (partial, "yellow"))
    return Text(f"No answer ({answer['stop'] or 'deadline'})", style="bold yellow")


def figures(answer: dict[str, Any]) -> Text:
    """Why it ended, and what it cost."""
    usage, timings, count = answer["usage"], answer["timings"], len(answer["steps"])
    return Text(
        f"{answer['stop'] or 'deadline'} · {count} step{'s' * (count != 1)} · {timings['total_s']:.2f} s "
        f"(retrieval {timings['retrieval_s']:.2f}, writing {timings['writing_s']:.2f}) · "
        f"{usage['prompt_tokens']} prompt tokens, {usage['completion_tokens']} written",
        style="dim",
    )


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
