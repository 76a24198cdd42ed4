"""docs/metrics.md, the dashboard and the code name the same metrics; the log's events are those of the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from steper_ray.config import Config
from steper_ray.telemetry.metrics import METRICS, Kind
from tests.promql import metric_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "cluster" / "grafana" / "steper.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
SERIES = {name for metric in METRICS for name in metric.series}


def rows() -> dict[str, tuple[str, ...]]:
    """Type, labels and unit by metric, as the page has them."""
    found = re.findall(r"^\| `(ray_steper_\w+)` \| (\w+) \| (.*?) \| (.*?) \| .+ \|.*\|$", PAGE, re.MULTILINE)
    return {name: (kind, *re.findall(r"`(\w+)`", labels), unit) for name, kind, labels, unit in found}


def test_the_page_has_every_metric_with_its_type_labels_and_unit_and_no_other() -> None:
    assert rows() == {metric.exported: (metric.kind.value, *metric.labels, metric.unit) for metric in METRICS}


def test_names_are_unique_and_end_as_prometheus_asks() -> None:
    names = [metric.exported for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.exported.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert (metric.unit == "s") == metric.name.endswith("_seconds")
        assert bool(metric.bounds) == (metric.kind is Kind.HISTOGRAM)
        assert list(metric.bounds) == sorted(metric.bounds)


def test_the_dashboard_shows_every_metric_and_names_no_other_of_ours() -> None:
    named = set().union(*map(metric_names, QUERIES))
    ours = {name for name in named if name.startswith("ray_steper_")}
    assert ours <= SERIES
    assert [metric.exported for metric in METRICS if not ours & set(metric.series)] == []


@pytest.mark.parametrize("query", [query for query in QUERIES if "ray_steper_" in query])
def test_a_query_uses_labels_that_its_metrics_have(query: str) -> None:
    known = {label for metric in METRICS if set(metric.series) & metric_names(query) for label in metric.labels}
    selected = set(re.findall(r"(\w+)=~?\"", "".join(re.findall(r"ray_steper_\w+(\{.*?\})", query))))
    grouped = {label.strip() for group in re.findall(r"by \((.*?)\)", query) for label in group.split(",")}
    assert selected | grouped - {"le"} <= known | {"deployment"}


def test_the_dashboard_has_what_grafana_needs_to_show_it() -> None:
    assert DASHBOARD["uid"]
    assert DASHBOARD["schemaVersion"] >= 36
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["title"]
        for target in (panel, *panel["targets"]):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    used = set(re.findall(r"\$(\w+)", " ".join(QUERIES)))
    assert used <= {*variables, "__rate_interval"}


def test_no_two_panels_lie_on_each_other_and_all_fit_the_grid() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        x, y, width, height = (panel["gridPos"][key] for key in "xywh")
        assert x + width <= 24, panel["title"]
        cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_alarms_are_valid_and_name_our_metrics() -> None:
    blocks: list[Any] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    (rules,) = [group["rules"] for block in blocks for group in block.get("groups", ())]
    for rule in rules:
        assert rule["alert"]
        assert metric_names(rule["expr"])
        assert metric_names(rule["expr"]) <= SERIES


def test_the_settings_that_the_page_names_are_settings() -> None:
    named = re.findall(rf"`({'|'.join(Config.model_fields)})\.(\w+)(?:=\w+)?`", PAGE)
    assert len(named) >= 10
    for section, key in named:
        assert key in type(getattr(Config(), section)).model_fields, f"{section}.{key}"


def test_the_events_of_the_log_are_those_of_the_code() -> None:
    table = PAGE.partition("## Logs")[2]
    listed = {
        name for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", table, re.MULTILINE) for name in row.split(", ")
    }
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "steper_ray").rglob("*.py"))
    told = re.findall(r"(?:\.tell\(|warn\(self\._origin, |line\(self\._origin, )\"(\w+)\"", code)
    assert {name.strip("`") for name in listed} == set(told)
