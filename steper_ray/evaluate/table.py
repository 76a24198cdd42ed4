"""The scores as tables, shown on the terminal and written as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steper_ray.core.support import Support, mean_support
from steper_ray.evaluate.interval import Interval, score_interval
from steper_ray.evaluate.prediction import Prediction
from steper_ray.evaluate.scores import Quality, Scores, groups_of

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclass(frozen=True, slots=True)
class Table:
    """A title, column names, and rows of texts; the first column is left-aligned, the others right."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def score_tables(scores: Scores) -> list[Table]:
    """All tables that the scores give; those without content are left out."""
    tables = [_main(scores), _course(scores)]
    if scores.recall:
        tables.append(_recall(scores))
    if scores.support:
        tables.append(_support(scores.support, scores.support_questions))
    for title, groups in (("kind", scores.by_kind), ("hops", scores.by_hops)):
        if len(groups) > 1:
            tables.append(_groups(title, groups))
    if scores.unseen:
        tables.append(_groups("training", {"all": scores.quality, "not trained on": scores.unseen}))
    if scores.stages:
        tables.append(_stages(scores))
    return tables


def given_tables(predictions: Sequence[Prediction], seed: int) -> list[Table]:
    """The tables of answers alone, of which nothing else is known; at least one. `seed` is the bootstrap's."""
    rows = [
        (name, _percent(sum(values) / len(values)), _between(score_interval(values, seed)))
        for name, values in (
            ("EM", [found.exact_match for found in predictions]),
            ("F1", [found.f1 for found in predictions]),
            ("Acc (substring)", [found.accuracy_substring for found in predictions]),
            ("Acc (whole tokens)", [found.accuracy_tokens for found in predictions]),
        )
    ]
    tables = [Table(f"Scores of {len(predictions):,} questions", ("measure", "%", "95 % interval"), rows)]
    if support := [found.support for found in predictions if found.support]:
        tables.append(_support(mean_support(support), len(support), "Predicted against gold support"))
    by_kind = groups_of(predictions, lambda found: found.question.kind, seed)
    by_hops = groups_of(predictions, lambda found: found.question.hops, seed)
    tables += [_groups("kind", by_kind, tokens=False)] if len(by_kind) > 1 else []
    return [*tables, _groups("hops", by_hops, tokens=False)] if len(by_hops) > 1 else tables


def markdown(title: str, lines: Sequence[str], tables: Sequence[Table]) -> str:
    """A Markdown page: a heading, lines of text, and the tables."""
    return "\n".join([f"# {title}", "", *lines, *(line for table in tables for line in _markdown_lines(table)), ""])


def rich_table(table: Table) -> "RichTable":
    """The table for the terminal."""
    from rich.table import Table as RichTable

    shown = RichTable(title=table.title, title_justify="left", title_style="bold")
    for number, column in enumerate(table.columns):
        shown.add_column(column, justify="right" if number else "left")
    for row in table.rows:
        shown.add_row(*row)
    return shown


def _main(scores: Scores) -> Table:
    quality = scores.quality
    rows = [
        ("EM", _percent(quality.exact_match), _between(scores.exact_match_interval)),
        ("F1", _percent(quality.f1), _between(scores.f1_interval)),
        ("Acc (substring)", _percent(quality.accuracy_substring), _between(scores.accuracy_substring_interval)),
        ("Acc (whole tokens)", _percent(quality.accuracy_tokens), _between(scores.accuracy_tokens_interval)),
        ("answered", _percent(scores.answered_share), ""),
    ]
    title = f"Scores of {quality.questions:,} questions, {quality.tokens:,.0f} tokens each"
    return Table(title, ("measure", "%", "95 % interval"), rows)


def _course(scores: Scores) -> Table:
    cost = scores.cost
    rows = [
        ("finished questions", f"{scores.finished:,}"),
        *((f"stopped: {name}", f"{number:,}") for name, number in scores.stops.items()),
        *((f"failed: {name}", f"{number:,}") for name, number in scores.failed.items()),
        ("steps per question", f"{scores.steps_mean:.2f}"),
        *(
            (f"questions of {_counted(steps, 'step')}", f"{number:,}")
            for steps, number in scores.steps_histogram.items()
        ),
        *_paths(scores),
        ("prompt tokens per question", f"{cost.prompt_tokens:,.0f}"),
        ("of these cached", f"{cost.cached_tokens:,.0f}"),
        ("completion tokens per question", f"{cost.completion_tokens:,.0f}"),
        ("seconds of completions per question", f"{cost.seconds:.2f}"),
    ]
    return Table("Course of the loop", ("what", "value"), rows)


def _paths(scores: Scores) -> list[tuple[str, str]]:
    if scores.paths == 1:
        return []
    return [("paths per question", f"{scores.paths:.2f}"), ("paths that agree, %", _percent(scores.agreement))]


def _support(support: Support, questions: int, what: str = "All retrieved against gold passages") -> Table:
    rows = [
        ("support", *map(_percent, (support.exact_match, support.f1, support.precision, support.recall))),
        (
            "joint with the answer",
            *map(
                _percent,
                (support.joint_exact_match, support.joint_f1, support.joint_precision, support.joint_recall),
            ),
        ),
    ]
    title = f"{what}, % ({questions:,} questions)"
    return Table(title, ("what", "EM", "F1", "precision", "recall"), rows)


def _recall(scores: Scores) -> Table:
    rows = [
        (f"1 to {step}" if step > 1 else "1", _percent(value.any), _percent(value.all), _percent(value.fraction))
        for step, value in enumerate(scores.recall, start=1)
    ]
    title = f"Gold passages retrieved, % ({scores.recall_questions:,} questions)"
    return Table(title, ("steps", "any", "all", "fraction"), rows)


def _groups(title: str, groups: Mapping[str, Quality] | Mapping[int, Quality], *, tokens: bool = True) -> Table:
    rows = [
        (
            str(name or "not given"),
            f"{quality.questions:,}",
            _with_interval(quality.exact_match, quality.exact_match_interval),
            _with_interval(quality.f1, quality.f1_interval),
            _with_interval(quality.accuracy_substring, quality.accuracy_substring_interval),
            _with_interval(quality.accuracy_tokens, quality.accuracy_tokens_interval),
            *([f"{quality.tokens:,.0f}"] if tokens else []),
        )
        for name, quality in groups.items()
    ]
    scores = ("EM", "F1", "Acc (substring)", "Acc (whole tokens)")
    cost = ["tokens per question"] if tokens else []
    return Table(f"By {title}, % (95 %)", (title, "questions", *scores, *cost), rows)


def _stages(scores: Scores) -> Table:
    rows = [
        (stage, f"{value.loss:.4f}", _percent(value.token_accuracy), f"{value.tokens:,}")
        for stage, value in scores.stages.items()
    ]
    return Table("Stages, with the right tokens fed in", ("stage", "loss, nats", "token accuracy, %", "tokens"), rows)


def _markdown_lines(table: Table) -> list[str]:
    ruler = "|".join(["", "---", *("---:" for _ in table.columns[1:]), ""])
    return ["", f"## {table.title}", "", _line(table.columns), ruler, *map(_line, table.rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') or ' ' for cell in cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _with_interval(share: float, interval: Interval) -> str:
    return f"{_percent(share)} ({_between(interval)})"


def _between(interval: Interval) -> str:
    return f"{_percent(interval.low)} to {_percent(interval.high)}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
