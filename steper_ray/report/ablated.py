"""The ablation of a run on a web page: what must be known of it, and the tables that it wrote."""

import re

from steper_ray.report.html import Markup, element, figure, join, table
from steper_ray.report.record import RunRecord

_EARLIER = (
    "Written by an earlier version; the same steper ablate command trains nothing again and writes its tables anew."
)
_WITH_INTERVAL = re.compile(r"([\d.]+) \((.+)\)")


def ablation_part(run: RunRecord) -> Markup:
    """Paragraphs and tables as in ablation.md: scores, seeds, differences with p-values, stages, warnings."""
    if "tables" not in run.ablation:
        return element("p", _EARLIER, class_="quiet")
    lines = [line.replace("`", "") for line in run.ablation.get("about", []) if line]
    tables = [
        table(one["columns"], [[_cell(cell) for cell in row] for row in one["rows"]], one["title"])
        for one in run.ablation["tables"]
    ]
    return join([*map(_paragraph, lines), *tables])


def _paragraph(line: str) -> Markup:
    return element("p", line, class_="warning") if line.startswith("Warning") else element("p", line)


def _cell(text: str) -> Markup | str:
    """An interval in brackets goes below its figure."""
    found = _WITH_INTERVAL.fullmatch(text)
    return figure(*found.groups()) if found else text
