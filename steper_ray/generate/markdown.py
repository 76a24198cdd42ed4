"""Foreign text in Markdown: what a passage says can neither end a block nor become markup."""

import re
from collections.abc import Iterable, Sequence

from steper_ray.core.text import printable

_MARKUP = re.compile(r"([\\`*{}\[\]<>()#!|~&$]|\b_|_\b)")
_CHARACTERS = 400
"""Most of a line of an example that is shown."""


def plain(text: str) -> str:
    """One line of text that Markdown shows as it is, in a table cell too."""
    return _MARKUP.sub(r"\\\1", printable(text))


def block(text: str) -> str:
    """A fenced block; its fence is longer than any run of backticks inside, its lines are cut to a readable length."""
    lines = [line if len(line) <= _CHARACTERS else f"{line[: _CHARACTERS - 1]}…" for line in text.splitlines()]
    shown = "\n".join(map(printable, lines))
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of plain cells."""
    lines = [columns, ["---"] * len(columns), *([plain(str(cell)) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
