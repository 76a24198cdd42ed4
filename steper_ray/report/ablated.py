"""The ablation of a run on a web page: what must be known of it, and the tables that it wrote."""

from steper_ray.report.html import Markup, element, join, table
from steper_ray.report.record import RunRecord

_EARLIER = (
    "Written by an earlier version; the same steper ablate command trains nothing again and writes its tables anew."
)


def ablation_part(run: RunRecord) -> Markup:
    """Paragraphs and tables as in ablation.md: scores, seeds, differences with p-values, stages, warnings."""
    if "tables" not in run.ablation:
        return element("p", _EARLIER, class_="quiet")
    paragraphs = [element("p", line) for line in run.ablation.get("about", []) if line]
    return join([*paragraphs, *(table(one["columns"], one["rows"], one["title"]) for one in run.ablation["tables"])])
