"""The table at the end of a generation: the same figures as in `stats.json`."""

from typing import Any

from rich.console import Console
from rich.table import Table

from steper_ray.core.duration import duration
from steper_ray.drive.stats import LoopStats
from steper_ray.generate.totals import Totals

_TIMES = {
    "place": "… waiting for a place at an engine",
    "engine_queue": "… in the engine's queue",
    "engine": "… in the engine",
    "search": "… waiting for passages",
    "other": "… else: prompts, tokens, the event loop",
}


def print_table(numbers: dict[str, Any], totals: Totals, stats: LoopStats) -> None:
    """Print counts, tokens, speed of this execution and recall."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(_figures(numbers, totals, stats))
    if totals.with_gold:
        console.print(_recall(totals))
    if warning := stats.starvation():
        print(f"warning: {warning}")


def _figures(numbers: dict[str, Any], totals: Totals, stats: LoopStats) -> Table:
    table = Table(title="generate", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    failed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(numbers["failed"].items())) or "none"
    paths = f" × {numbers['paths']} paths" if numbers["paths"] > 1 else ""
    table.add_row("questions", f"{numbers['questions']:,}{paths}")
    table.add_row("finished", f"{numbers['finished']:,} of {numbers['asked']:,}")
    table.add_row("failed", failed)
    table.add_row("correct", correct_words(totals.correct, totals.judged, totals.trajectories))
    table.add_row("ended by", ", ".join(f"{count:,} {stop}" for stop, count in sorted(totals.stops.items())))
    table.add_row("steps", ", ".join(f"{count:,} × {steps}" for steps, count in sorted(totals.steps.items())))
    table.add_row("tokens in", f"{totals.prompt_tokens:,}")
    cached = totals.cached_tokens / totals.prompt_tokens if totals.prompt_tokens else 0.0
    table.add_row("… found in the prefix cache", f"{cached:.1%}")
    table.add_row("tokens out", f"{totals.completion_tokens:,}")
    if totals.passages_left_out:
        table.add_row("passages without room", f"{totals.passages_left_out:,}")
    if stats.done:
        table.add_section()
        _add_execution(table, stats)
    return table


def correct_words(correct: int, judged: int, trajectories: int) -> str:
    """How many are right, of those whose gold answer is known."""
    if not judged:
        return "not known: no gold answers"
    some = f" of {judged:,} with gold answers" if judged < trajectories else ""
    return f"{correct:,}{some} ({correct / judged:.1%})"


def _add_execution(table: Table, stats: LoopStats) -> None:
    table.add_row("this execution", f"{stats.done:,} in {duration(stats.seconds)}")
    if stats.first_written_s is not None:
        table.add_row("first trajectory written after", duration(stats.first_written_s))
    table.add_row(
        "tokens/s in, out", f"{stats.rate(stats.prompt_tokens):,.0f}, {stats.rate(stats.completion_tokens):,.0f}"
    )
    if stats.engine_use is not None:
        table.add_row("engines in use while questions waited", f"{stats.engine_use:.0%}")
    if stats.finished:
        table.add_row("a question, mean", f"{(stats.waited_s + stats.took_s) / stats.finished:,.2f} s")
        for name, spent in stats.times().items():
            table.add_row(_TIMES[name], f"{spent / stats.finished:,.2f} s")
    table.add_row("writing parts, in all", f"{stats.writing_s:,.1f} s")


def _recall(totals: Totals) -> Table:
    title = f"supporting passages found up to each step ({totals.with_gold:,} trajectories)"
    table = Table(title=title, title_justify="left")
    table.add_column("step", justify="right")
    for name in ("any", "all", "fraction"):
        table.add_column(name, justify="right")
    for number, value in enumerate(totals.recall(), 1):
        table.add_row(str(number), *(f"{share:.3f}" for share in (value.any, value.all, value.fraction)))
    return table
