"""The tables of an ablation, for terminal and Markdown, and the same as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from steper_ray.core.types import STAGE_TERMS
from steper_ray.evaluate.interval import Interval
from steper_ray.evaluate.table import Table
from steper_ray.experiments.members import Member, Row
from steper_ray.experiments.outcome import Against, Outcome
from steper_ray.sections.ablate import Control

_TITLES = {None: "not trained", Control.UPDATES: "same updates", Control.TARGET_TOKENS: "same target tokens"}


def ablation_tables(outcomes: Sequence[Outcome], against: Sequence[Against], reference: Member) -> list[Table]:
    """Scores, differences from the reference, and the stages where they were scored."""
    tables = [_scores(outcomes)]
    if against:
        tables.append(_differences(against, reference))
    if any(outcome.stages for outcome in outcomes):
        tables.append(_stages(outcomes))
    return tables


def ablation_json(
    outcomes: Sequence[Outcome], against: Sequence[Against], reference: Member, failed: Mapping[str, str]
) -> dict[str, Any]:
    """The same for programs."""
    return {
        "reference": str(reference),
        "rows": [{**_named(outcome.row), **_numbers(outcome)} for outcome in outcomes],
        "against": [{**_named(found.row), **asdict(found.difference), "holm": found.corrected} for found in against],
        "failed": dict(failed),
    }


def row_name(row: Row) -> str:
    """Member and, where it is not the loop, system."""
    return str(row.member) + ("" if row.system.value == "multi_step" else f", {row.system.value}")


def _scores(outcomes: Sequence[Outcome]) -> Table:
    rows = [
        (
            row_name(outcome.row),
            _TITLES[outcome.row.control],
            str(outcome.row.trainings[0].updates) if outcome.row.trainings else "",
            f"{outcome.target_tokens:,.0f}" if outcome.target_tokens else "",
            *(cell for measure in outcome.figures for cell in _figure(outcome, measure)),
            f"{outcome.tokens:,.0f}",
        )
        for outcome in outcomes
    ]
    scores = ("EM, %", "95 % interval", "seeds", "F1, %", "95 % interval", "seeds")
    columns = ("member", "control", "updates", "target tokens", *scores, "tokens per question")
    return Table(f"Scores of {outcomes[0].questions:,} questions", columns, rows)


def _figure(outcome: Outcome, measure: str) -> tuple[str, str, str]:
    figure = outcome.figures[measure]
    seeds = ", ".join(_percent(value) for value in figure.by_seed) if len(figure.by_seed) > 1 else ""
    return _percent(figure.mean), _between(figure.interval), seeds


def _differences(against: Sequence[Against], reference: Member) -> Table:
    rows = [
        (
            row_name(found.row),
            _TITLES[found.row.control],
            _points(found.difference.difference),
            f"{_points(found.difference.interval.low)} to {_points(found.difference.interval.high)}",
            _p_value(found.difference.p_value),
            _p_value(found.corrected),
            found.difference.test.value,
        )
        for found in against
    ]
    columns = (f"{reference} less", "control", "EM, points", "95 % interval", "p", "p (Holm)", "test")
    return Table("Differences on the same questions", columns, rows)


def _stages(outcomes: Sequence[Outcome]) -> Table:
    """One row per weights: how a model is asked changes nothing here."""
    rows = []
    for outcome in outcomes:
        if outcome.stages:
            found = [outcome.stages.get(stage.value) for stage in STAGE_TERMS]
            losses = [f"{score.loss:.3f}" if score else " " for score in found]
            accuracies = [_percent(score.token_accuracy) if score else " " for score in found]
            rows.append((row_name(outcome.row), _TITLES[outcome.row.control], *losses, *accuracies))
    terms = STAGE_TERMS.values()
    columns = ("member", "control", *(f"L {term}" for term in terms), *(f"{term}, %" for term in terms))
    return Table("Held-out loss (nats) and token accuracy of the stages, right tokens fed in", columns, rows)


def _named(row: Row) -> dict[str, Any]:
    return {
        "control": row.control.value if row.control else None,
        "member": row.member.method,
        "form": row.member.form.value,
        "system": row.system.value,
        "updates": row.trainings[0].updates if row.trainings else 0,
        "seeds": [training.seed for training in row.trainings],
    }


def _numbers(outcome: Outcome) -> dict[str, Any]:
    values = asdict(outcome)
    del values["row"]
    return values


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _between(interval: Interval) -> str:
    return f"{_percent(interval.low)} to {_percent(interval.high)}"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
