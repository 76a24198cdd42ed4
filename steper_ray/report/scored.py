"""Scores of evaluations as rows of a web page's tables: with intervals, tokens beside them, recall by step."""

from collections.abc import Mapping, Sequence
from typing import Any

from steper_ray.core.types import STAGE_TERMS
from steper_ray.data.contamination import told_contamination
from steper_ray.report.html import Markup, figure, table
from steper_ray.report.record import RunRecord
from steper_ray.report.words import counted

_SCORES = (
    ("EM", "exact_match"),
    ("F1", "f1"),
    ("Acc (substring)", "accuracy_substring"),
    ("Acc (whole tokens)", "accuracy_tokens"),
)


def score_table(runs: Sequence[RunRecord]) -> Markup:
    """All evaluations of all runs, one row each, intervals below the figures."""
    rows = [
        [
            _label(runs, run, one.label),
            one.scores["model"],
            f"{one.scores['quality']['questions']:,}",
            *(_figure(one.scores["quality"].get(key), one.scores.get(f"{key}_interval")) for _, key in _SCORES),
            _counted(one.scores.get("steps_mean"), 2),
            _counted(one.scores["quality"].get("tokens")),
            _counted((one.scores.get("cost") or {}).get("seconds"), 2),
        ]
        for run in runs
        for one in run.evaluations
    ]
    names = [f"{name}, %" for name, _ in _SCORES]
    course = ["steps", "tokens per question", "seconds of completions per question"]
    return table(["evaluation", "model", "questions", *names, *course], rows)


def warnings(runs: Sequence[RunRecord]) -> list[str]:
    """What the evaluations warned of, as sentences: questions that were trained on, a foreign corpus, …"""
    return [
        f"Warning: {_label(runs, run, one.label)}: {warning}."
        for run in runs
        for one in run.evaluations
        for warning in _warnings(one.scores)
    ]


def _warnings(scores: Mapping[str, Any]) -> list[str]:
    """Of an evaluation by another version, whose notes are not there, what its counts tell."""
    notes = scores.get("notes")
    if notes is None:
        return [told_contamination(scores)] if told_contamination(scores) else []
    return [note.removeprefix("warning: ") for note in notes if note.startswith("warning: ")]


def group_tables(run: RunRecord) -> list[Markup]:
    """The first evaluation by kind of question, by hops, by whether it was trained on, and how trajectories stopped."""
    if not run.evaluations:
        return []
    scores = run.evaluations[0].scores
    unseen = {"all": scores["quality"], "not trained on": scores["unseen"]} if scores.get("unseen") else {}
    tables = [
        _group_table(title, groups)
        for title, groups in (
            ("By kind", scores.get("by_kind") or {}),
            ("By hops", scores.get("by_hops") or {}),
            ("By training", unseen),
        )
        if len(groups) > 1
    ]
    stops = [[name, f"{number:,}"] for name, number in (scores.get("stops") or {}).items()]
    stops += [[f"failed: {name}", f"{number:,}"] for name, number in (scores.get("failed") or {}).items()]
    return [*tables, table(["stopped", "questions"], stops)] if stops else tables


def _group_table(title: str, groups: Mapping[str, Any]) -> Markup:
    """Scores of an earlier version's evaluation have no interval here, but EM."""
    rows = [
        [
            name if name not in ("", "0") else "not given",
            f"{found['questions']:,}",
            *(_figure(found.get(key), found.get(f"{key}_interval")) for _, key in _SCORES),
            _counted(found.get("tokens")),
        ]
        for name, found in groups.items()
    ]
    return table([title, "questions", *(f"{name}, %" for name, _ in _SCORES), "tokens per question"], rows)


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
    """Gold passages retrieved up to each step: any of a question's, all, and their share."""
    found = recall_rows(runs)
    steps = max(len(values) for _, values in found)
    rows = []
    for name, values in found:
        for measure in ("any", "all", "fraction"):
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
            when = f"after {counted(point.number, 'update')}" if point.number else "before the training"
            cells = {term: (point.losses.get(term), point.accuracies.get(term)) for term in STAGE_TERMS.values()}
            rows.append([_label(runs, run, f"held out, {when}"), *_stage_cells(cells)])
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


def _label(runs: Sequence[RunRecord], run: RunRecord, name: str) -> str:
    return name if len(runs) == 1 else f"{run.name}: {name}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _figure(share: float | None, interval: Mapping[str, float] | None) -> Markup | str:
    """A share in %, with its interval where it has one."""
    if share is None or not interval:
        return "" if share is None else _percent(share)
    return figure(_percent(share), f"{_percent(interval['low'])} to {_percent(interval['high'])}")


def _counted(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
