"""Pieces of a web page; every text that comes from outside is escaped here and nowhere else."""

import base64
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_WHITE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Markup:
    """Text that is HTML already."""

    text: str


def escape(text: object) -> str:
    """Anything as HTML: markup as it is, text without control characters and with its special ones escaped."""
    if isinstance(text, Markup):
        return text.text
    return html.escape("".join(found for found in _WHITE.sub(" ", str(text)) if found.isprintable()), quote=True)


def element(name: str, *children: object, **attributes: object) -> Markup:
    """An element; `class_` is the attribute `class`."""
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{told}>{''.join(map(escape, children))}</{name}>")


def join(parts: Iterable[object]) -> Markup:
    """Pieces one behind the other."""
    return Markup("".join(map(escape, parts)))


def table(columns: Sequence[object], rows: Iterable[Sequence[object]], caption: str = "") -> Markup:
    """A table that scrolls by itself where the page is narrow; cells after the first are figures."""
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    told = [element("caption", caption)] if caption else []
    inner = element("table", *told, element("thead", head), element("tbody", *body))
    return element("div", inner, class_="wide")


def figure(value: str, between: str) -> Markup:
    """A figure with its interval below it."""
    return join([value, element("span", between, class_="between")])


def preformatted(text: str) -> Markup:
    """Text whose line breaks count."""
    return Markup(f"<pre>{html.escape(text)}</pre>")


def bar(share: float, colour: str = "#4a6fa5") -> Markup:
    """A horizontal bar; `share` in [0, 1]."""
    width = f"width:{100 * min(max(share, 0.0), 1.0):.1f}%;background:{colour}"
    return element("div", element("div", style=width), class_="bar", aria_hidden="true")


def folded(summary: object, *children: object) -> Markup:
    """What opens on a click."""
    return element("details", element("summary", summary), *children)


def picture(path: Path, text: str) -> Markup:
    """A PNG inside the page; where the page is narrow it scrolls by itself, so that its text can be read."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return element("div", Markup(f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">'), class_="picture")
