"""Scores of evaluations as rows of a web page's tables: with intervals, tokens beside them, recall by step."""

from collections.abc import Mapping, Sequence
from typing import Any

from steper_ray.core.types import STAGE_TERMS
from steper_ray.report.html import Markup, table
from steper_ray.report.record import RunRecord

_SCORES = (("EM", "exact_match"), ("F1", "f1"), ("Acc", "accuracy_tokens"))


def score_table(runs: Sequence[RunRecord]) -> Markup:
    """All evaluations of all runs, one row each."""
    columns = ["evaluation", "model", "questions"]
    for name, _ in _SCORES:
        columns += [f"{name}, %", "95 %"]
    rows = [
        [
            _label(runs, run, one.label),
            one.scores["model"],
            f"{one.scores['quality']['questions']:,}",
            *_cells(one.scores),
        ]
        for run in runs
        for one in run.evaluations
    ]
    return table([*columns, "steps", "tokens per question"], rows)


def ablation_table(run: RunRecord) -> Markup:
    """The rows of the run's ablation, by control."""
    rows = []
    for found in run.ablation["rows"]:
        figures = found["figures"]
        name = found["member"] + ("" if found["form"] == "cumulative" else f"/{found['form']}")
        rows.append(
            [
                name + ("" if found["system"] == "multi_step" else f", {found['system']}"),
                (found["control"] or "not trained").replace("_", " "),
                f"{found['updates']:,}" if found["updates"] else "",
                *(
                    cell
                    for key in ("exact_match", "f1")
                    for cell in (_percent(figures[key]["mean"]), _between(figures[key]["interval"]))
                ),
                f"{found['tokens']:,.0f}",
            ]
        )
    columns = ["member", "same", "updates", "EM, %", "95 %", "F1, %", "95 %", "tokens per question"]
    return table(columns, rows)


def group_tables(run: RunRecord) -> list[Markup]:
    """The first evaluation by kind of question, by hops, and how trajectories stopped."""
    if not run.evaluations:
        return []
    scores = run.evaluations[0].scores
    tables = []
    for title, key in (("By kind", "by_kind"), ("By hops", "by_hops")):
        groups: Mapping[str, Any] = scores.get(key) or {}
        if len(groups) > 1:
            rows = [
                [name or "not given", f"{found['questions']:,}", _percent(found["exact_match"]),
                 _between(found.get("exact_match_interval")), _percent(found["f1"])]
                for name, found in groups.items()
            ]  # fmt: skip
            tables.append(table([title, "questions", "EM, %", "95 %", "F1, %"], rows))
    stops = [[name, f"{number:,}"] for name, number in (scores.get("stops") or {}).items()]
    stops += [[f"failed: {name}", f"{number:,}"] for name, number in (scores.get("failed") or {}).items()]
    return [*tables, table(["stopped", "questions"], stops)] if stops else tables


def recall_rows(runs: Sequence[RunRecord]) -> list[tuple[str, Sequence[Mapping[str, float]]]]:
    """Recall by step: of the teacher's retrieval, and of every evaluation, by name."""
    rows: list[tuple[str, Sequence[Mapping[str, float]]]] = []
    for run in runs:
        if run.recall:
            rows.append((_label(runs, run, "teacher"), run.recall))
        rows += [
            (_label(runs, run, one.label), one.scores["recall"]) for one in run.evaluations if one.scores.get("recall")
        ]
    return rows


def recall_table(runs: Sequence[RunRecord]) -> Markup:
    """Gold passages retrieved up to each step: all of a question's, and their share."""
    found = recall_rows(runs)
    steps = max(len(values) for _, values in found)
    rows = []
    for name, values in found:
        for measure in ("all", "fraction"):
            cells = [_percent(value[measure]) for value in values]
            rows.append([f"{name}: {measure}", *cells, *[""] * (steps - len(cells))])
    return table(
        ["retrieved, %", *(f"step {step}" if step == 1 else f"to {step}" for step in range(1, steps + 1))], rows
    )


def stage_table(runs: Sequence[RunRecord]) -> Markup | None:
    """Teacher-forced loss and token accuracy: before and after the training, and in every evaluation that has them."""
    rows = []
    for run in runs:
        points = run.history.held_out if run.history else []
        ends = [points[0], points[-1]] if len(points) > 1 else list(points)
        for point in ends:
            told = f"held out, after {point.number:,} updates" if point.number else "held out, before the training"
            cells = {term: (point.losses.get(term), point.accuracies.get(term)) for term in STAGE_TERMS.values()}
            rows.append([_label(runs, run, told), *_stage_cells(cells)])
        for one in run.evaluations:
            stages = one.scores.get("stages") or {}
            cells = {
                term: (stages[stage]["loss"], stages[stage]["token_accuracy"]) if stage in stages else (None, None)
                for stage, term in STAGE_TERMS.items()
            }
            if stages:
                rows.append([_label(runs, run, f"{one.label} ({one.scores['model']})"), *_stage_cells(cells)])
    if not rows:
        return None
    terms = STAGE_TERMS.values()
    return table(["", *(f"L {term}, nats" for term in terms), *(f"{term}, tokens right %" for term in terms)], rows)


def _stage_cells(cells: Mapping[str, tuple[float | None, float | None]]) -> list[str]:
    losses = ["" if loss is None else f"{loss:.3f}" for loss, _ in cells.values()]
    return losses + ["" if accuracy is None else _percent(accuracy) for _, accuracy in cells.values()]


def _cells(scores: Mapping[str, Any]) -> list[str]:
    cells = []
    for _, key in _SCORES:
        cells += [_percent(scores["quality"][key]), _between(scores.get(f"{key}_interval"))]
    steps, tokens = scores.get("steps_mean"), scores["quality"].get("tokens")
    return [*cells, "" if steps is None else f"{steps:.2f}", "" if tokens is None else f"{tokens:,.0f}"]


def _label(runs: Sequence[RunRecord], run: RunRecord, name: str) -> str:
    return name if len(runs) == 1 else f"{run.name}: {name}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _between(interval: Mapping[str, float] | None) -> str:
    return f"{_percent(interval['low'])} to {_percent(interval['high'])}" if interval else ""
