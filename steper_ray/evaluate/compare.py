"""`steper compare`: two evaluations on the same questions, with the interval and p-value of each difference."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steper_ray.errors import RunFolderError
from steper_ray.evaluate.evaluated import MEASURES, Evaluated, ScoredQuestion, read_evaluated
from steper_ray.evaluate.interval import Interval, bootstrap
from steper_ray.evaluate.paired import Difference, paired
from steper_ray.evaluate.table import Table, markdown, rich_table
from steper_ray.runs import write_text

COMPARISON_FILE = "comparison.md"


@dataclass(frozen=True, slots=True)
class Spent:
    """Means per question that both finished, with the interval of their difference."""

    first: float
    second: float
    interval: Interval


@dataclass(frozen=True)
class Comparison:
    """What two systems differ in; differences are the second less the first."""

    questions: int
    differences: dict[str, Difference]
    """By measure."""
    tokens: Spent
    """Prompt and completion."""
    seconds: Spent | None
    """Of the completions; None where not every such question's are known."""
    outcomes: dict[tuple[bool, bool], int]
    """Questions by EM of the first and of the second."""


def compare_runs(first: Path, second: Path, out: Path | None = None, *, seed: int = 0) -> Comparison:
    """Compare two evaluations, print the tables and write them.

    Args:
        first: a run folder, or the folder of an evaluation.
        second: the same.
        out: the Markdown file; None: `comparison.md` in the second evaluation's folder.
        seed: of the bootstrap and of random sign flips.

    Raises:
        RunFolderError: no evaluation there, not of the same questions and gold answers, or no folder for `out`.
        InputError: a line of predictions is broken.
    """
    from rich.console import Console

    if out is not None and not out.absolute().parent.is_dir():
        raise RunFolderError(
            f"cannot write {out}: {out.absolute().parent} is no folder; make it, or name another --out"
        )
    one, other = read_evaluated(first), read_evaluated(second)
    comparison = compare(one, other, seed=seed)
    tables = comparison_tables(comparison)
    about = [f"A: `{one.model}`, {one.folder}", "", f"B: `{other.model}`, {other.folder}"]
    for name, evaluated in (("A", one), ("B", other)):
        for warning in filter(None, (evaluated.warning, evaluated.failed_told)):
            about += ["", f"warning: {name}: {warning}"]
    page = out or other.folder / COMPARISON_FILE
    write_text(page, markdown("Comparison", about, tables))
    console = Console(highlight=False, soft_wrap=True)
    for line in filter(None, about):
        console.print(line, markup=False)
    for table in tables:
        console.print(rich_table(table))
    print(f"compare: {comparison.questions:,} questions; written to {page}")
    return comparison


def compare(first: Evaluated, second: Evaluated, *, seed: int) -> Comparison:
    """Compare question by question.

    Raises:
        RunFolderError: the questions are not the same, or have other texts or gold answers; says how many.
    """
    check_same(first, second)
    pairs = [(question, second.questions[id]) for id, question in first.questions.items()]
    differences = {
        measure: paired([one.scores[measure] for one, _ in pairs], [other.scores[measure] for _, other in pairs], seed)
        for measure in MEASURES
    }
    both = [(one, other) for one, other in pairs if one.finished and other.finished]
    seconds = [
        (one.seconds, other.seconds) for one, other in both if one.seconds is not None and other.seconds is not None
    ]
    return Comparison(
        questions=len(pairs),
        differences=differences,
        tokens=_spent([(one.tokens, other.tokens) for one, other in both], seed),
        seconds=_spent(seconds, seed) if len(seconds) == len(both) else None,
        outcomes=dict(Counter((one.right, other.right) for one, other in pairs)),
    )


def check_same(first: Evaluated, second: Evaluated) -> None:
    """Refuse evaluations that cannot be compared question by question.

    Raises:
        RunFolderError: says how many questions differ, and in what.
    """
    one, other = first.questions, second.questions
    shared = [id for id in one if id in other]
    if len(shared) < max(len(one), len(other)):
        raise RunFolderError(
            f"{first.folder} has {len(one):,} questions, {second.folder} {len(other):,}: {len(shared):,} in both, "
            f"{len(one) - len(shared):,} only in the first, {len(other) - len(shared):,} only in the second; "
            "evaluate both on the same file, limit and sample"
        )
    for what, differs in (("another text", _other_text), ("other gold answers", _other_gold)):
        if found := [id for id in shared if differs(one[id], other[id])]:
            raise RunFolderError(
                f"{len(found):,} of {len(shared):,} questions have {what} in {second.folder} than in {first.folder}, "
                f"such as {found[0]!r}; evaluate both on the same file"
            )


def comparison_tables(comparison: Comparison) -> list[Table]:
    """The tables of a comparison."""
    rows = [
        (
            name,
            _percent(found.first),
            _percent(found.second),
            _points(found.difference),
            f"{_points(found.interval.low)} to {_points(found.interval.high)}",
            _p_value(found.p_value),
            found.test.value,
        )
        for name, found in ((MEASURES[measure], comparison.differences[measure]) for measure in MEASURES)
    ]
    rows.append(_spent_row("tokens per question", comparison.tokens, 0))
    if comparison.seconds is not None:
        rows.append(_spent_row("seconds of completions per question", comparison.seconds, 2))
    title = f"{comparison.questions:,} questions, scores in %"
    columns = ("measure", "A", "B", "B − A", "95 % interval", "p", "test")
    return [Table(title, columns, rows), _outcomes(comparison)]


def _spent(both: Sequence[tuple[float, float]], seed: int) -> Spent:
    interval = bootstrap([other - one for one, other in both] or [0.0], seed)
    return Spent(_mean([one for one, _ in both]), _mean([other for _, other in both]), interval)


def _spent_row(name: str, spent: Spent, digits: int) -> tuple[str, str, str, str, str, str, str]:
    first, second = (f"{value:,.{digits}f}" for value in (spent.first, spent.second))
    low, high = (f"{value:+,.{digits}f}" for value in (spent.interval.low, spent.interval.high))
    return (name, first, second, f"{spent.second - spent.first:+,.{digits}f}", f"{low} to {high}", "", "")


def _outcomes(comparison: Comparison) -> Table:
    names = {(True, True): "both", (True, False): "A alone", (False, True): "B alone", (False, False): "neither"}
    rows = [(name, f"{comparison.outcomes.get(key, 0):,}") for key, name in names.items()]
    return Table("Right by EM", ("who", "questions"), rows)


def _other_text(one: ScoredQuestion, other: ScoredQuestion) -> bool:
    return one.text != other.text


def _other_gold(one: ScoredQuestion, other: ScoredQuestion) -> bool:
    return one.golden_answers != other.golden_answers


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
