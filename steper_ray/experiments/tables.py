"""The tables of an ablation, for terminal and Markdown, and the same as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from steper_ray.core.types import STAGE_TERMS, StopReason
from steper_ray.evaluate.evaluated import MEASURES
from steper_ray.evaluate.interval import Interval
from steper_ray.evaluate.table import Table
from steper_ray.experiments.against import Against
from steper_ray.experiments.members import Form, Member, Row
from steper_ray.experiments.outcome import Figure, Outcome, Sigma
from steper_ray.sections.ablate import Control

_TITLES = {None: "not trained", Control.UPDATES: "same updates", Control.TARGET_TOKENS: "same target tokens"}


def ablation_tables(outcomes: Sequence[Outcome], against: Sequence[Against]) -> list[Table]:
    """Scores, ends, scores of single seeds, differences from the references, and the stages where they were scored."""
    tables = [_scores(outcomes), _ends(outcomes)]
    if any(len(outcome.row.trainings) > 1 for outcome in outcomes):
        tables.append(_seeds(outcomes))
    if against:
        tables += [_differences(against, measure) for measure in MEASURES]
    if any(outcome.stages for outcome in outcomes):
        tables.append(_stages(outcomes))
    return tables


def ablation_json(
    outcomes: Sequence[Outcome],
    against: Sequence[Against],
    references: Mapping[Form, Member],
    failed: Mapping[str, str],
    notes: Sequence[str],
) -> dict[str, Any]:
    """The same for programs; a comparison's own figures are those in EM, `measures` has all."""
    return {
        "reference": str(next(iter(references.values()))),
        "references": {form.value: str(member) for form, member in references.items()},
        "rows": [{**_named(outcome.row), **_numbers(outcome)} for outcome in outcomes],
        "against": [_compared(found) for found in against],
        "failed": dict(failed),
        "notes": list(notes),
    }


def row_name(row: Row) -> str:
    """Member and, where it is not the loop, system."""
    return str(row.member) + ("" if row.system.value == "multi_step" else f", {row.system.value}")


def _scores(outcomes: Sequence[Outcome]) -> Table:
    rows = [
        (
            row_name(outcome.row),
            _TITLES[outcome.row.control],
            *_course(outcome),
            *(_with_interval(outcome.figures[measure]) for measure in MEASURES),
            f"{outcome.tokens:,.0f}",
        )
        for outcome in outcomes
    ]
    scores = [f"{name}, % (95 %)" for name in MEASURES.values()]
    columns = ("member", "control", "updates", "epochs of units", "target tokens", *scores, "tokens per question")
    return Table(f"Scores of {outcomes[0].questions:,} questions", columns, rows)


def _course(outcome: Outcome) -> tuple[str, str, str]:
    if not outcome.row.trainings:
        return "", "", ""
    course = outcome.course
    return f"{course.updates:,.0f}", f"{course.epochs:.2f} of {outcome.units:,}", f"{course.target_tokens:,.0f}"


def _ends(outcomes: Sequence[Outcome]) -> Table:
    """How questions and trainings ended, over all seeds."""
    stops = [
        reason.value for reason in StopReason if any(reason.value in one for found in outcomes for one in found.stops)
    ]
    terms = STAGE_TERMS if any(outcome.course.sigmas for outcome in outcomes) else {}
    rows = [
        (
            row_name(outcome.row),
            _TITLES[outcome.row.control],
            *(_share(outcome, [one.get(stop, 0) for one in outcome.stops]) for stop in stops),
            _share(outcome, [sum(one.values()) for one in outcome.failed]),
            f"{outcome.course.training_seconds / 60:.1f}" if outcome.course.training_seconds else "",
            *(_sigma(outcome.course.sigmas.get(stage.value)) for stage in terms),
        )
        for outcome in outcomes
    ]
    sigmas = [f"σ {term} (√L)" for term in terms.values()]
    columns = ("member", "control", *(f"{stop}, %" for stop in stops), "failed, %", "minutes of updates", *sigmas)
    return Table("How the questions ended, and the trainings", columns, rows)


def _share(outcome: Outcome, counts: Sequence[int]) -> str:
    return _percent(sum(counts) / (outcome.questions * len(counts)))


def _sigma(found: Sigma | None) -> str:
    return f"{found.last:.3f} ({found.rest:.3f})" if found else ""


def _seeds(outcomes: Sequence[Outcome]) -> Table:
    rows = [
        (
            row_name(outcome.row),
            _TITLES[outcome.row.control],
            *(_by_seed(outcome.figures[measure]) for measure in MEASURES),
        )
        for outcome in outcomes
        if len(outcome.row.trainings) > 1
    ]
    columns = ("member", "control", *(f"{name}, %" for name in MEASURES.values()))
    return Table("Each seed, and the standard deviation over seeds", columns, rows)


def _by_seed(figure: Figure) -> str:
    return f"{', '.join(map(_percent, figure.by_seed))}; {_percent(figure.spread or 0.0)}"


def _differences(against: Sequence[Against], measure: str) -> Table:
    rows = []
    for found in against:
        differ = found.differences[measure]
        rows.append(
            (
                f"{found.reference} less {row_name(found.row)}",
                " and ".join(_TITLES[control] for control in found.controls),
                _points(differ.difference),
                f"{_points(differ.interval.low)} to {_points(differ.interval.high)}",
                _p_value(differ.p_value),
                _p_value(found.corrected[measure]),
                differ.test.value,
            )
        )
    columns = ("difference", "control", "points", "95 % interval", "p", "p (Holm)", "test")
    return Table(f"Differences in {MEASURES[measure]} on the same questions", columns, rows)


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
        "seeds": [training.seed for training in row.trainings],
    }


def _numbers(outcome: Outcome) -> dict[str, Any]:
    values = asdict(outcome)
    del values["row"]
    course = values.pop("course")
    for measure, figure in outcome.figures.items():
        values["figures"][measure]["spread"] = figure.spread
    return {**values, **course, "updates": round(outcome.course.updates)}


def _compared(found: Against) -> dict[str, Any]:
    measures = {
        measure: {**asdict(difference), "holm": found.corrected[measure]}
        for measure, difference in found.differences.items()
    }
    return {
        **_named(found.row),
        **measures["exact_match"],
        "reference": str(found.reference),
        "controls": [control.value for control in found.controls],
        "measures": measures,
    }


def _with_interval(figure: Figure) -> str:
    return f"{_percent(figure.mean)} ({_between(figure.interval)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _between(interval: Interval) -> str:
    return f"{_percent(interval.low)} to {_percent(interval.high)}"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
