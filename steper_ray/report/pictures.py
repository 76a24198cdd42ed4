"""The pictures: σ beside what holds it, and the losses and token accuracies of the stages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steper_ray.curves.canvas import COLOURS, INK, QUIET, canvas
from steper_ray.curves.history import STAGE_NAMES, History
from steper_ray.curves.lines import DASHES, draw_accuracies, draw_loss_course, draw_sigma_course, over_updates
from steper_ray.report.words import judge

LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
LINE_MARKS = ("o", "s", "^", "D", "v", "P", "X")
LINE_STYLES = ("-", "--", ":", "-.")
"""Of the first seven lines, of the next seven, …"""

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_sigmas(history: History, subtitle: str, path: Path) -> None:
    """σ over updates with √L beside it (dashed, same colour), and bars of the final σ."""
    with canvas(path, "Learned difficulty of the stages", subtitle, [2.6, 1.2]) as (course, ends):
        draw_sigma_course(course, history)
        over_updates(course)
        _sigma_bars(ends, history)


def draw_losses(history: History, subtitle: str, path: Path) -> None:
    """Stage losses over updates with the held-out points, and held-out token accuracy where it was measured."""
    has_accuracy = any(point.accuracies for point in history.held_out)
    with canvas(path, "Loss of the stages", subtitle, [1.7, 1.0] if has_accuracy else [1.0]) as axes:
        draw_loss_course(axes[0], history)
        over_updates(axes[0])
        if has_accuracy:
            draw_accuracies(axes[1], history)
            axes[1].set_xlim(axes[0].get_xlim())


def draw_recall(rows: Sequence[tuple[str, Sequence[Mapping[str, float]]]], path: Path) -> None:
    """Share of questions with all gold passages among those retrieved so far; a line per row."""
    subtitle = "Share of questions with all of their gold passages among those retrieved so far."
    with canvas(path, "Retrieval", subtitle, [1.0]) as (axes,):
        for number, (name, values) in enumerate(rows):
            colour, mark, style = line_look(number)
            steps, shares = range(1, len(values) + 1), [100 * value["all"] for value in values]
            axes.plot(steps, shares, color=colour, marker=mark, linestyle=style, label=name)
        axes.set(ylabel="questions (%)", ylim=(0, 102))
        axes.locator_params(axis="x", integer=True)
        if len(rows) > len(LINE_COLOURS):
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=11)
        else:
            axes.legend(loc="best", fontsize=11)
        axes.set(xlabel="steps", xlim=(0.8, max(len(values) for _, values in rows) + 0.2))


def line_look(number: int) -> tuple[str, str, str]:
    """Colour, mark and style of a line: different for the first 28."""
    again, place = divmod(number, len(LINE_COLOURS))
    return LINE_COLOURS[place], LINE_MARKS[place], LINE_STYLES[again % len(LINE_STYLES)]


def _sigma_bars(axes: "Axes", history: History) -> None:
    ends = judge(history)
    for place, term in enumerate(STAGE_NAMES):
        if term not in ends:
            axes.text(place, 0, "not\ntrained", ha="center", va="bottom", color=QUIET)
            continue
        sigma, rest = ends[term].sigma, ends[term].rest
        axes.bar(place, sigma, width=0.62, color=COLOURS[term])
        axes.hlines(rest, place - 0.4, place + 0.4, color=INK, linewidth=1.8, linestyle=DASHES)
        axes.annotate(
            f"{sigma:.3f}", (place, max(sigma, rest)), (0, 5), textcoords="offset points", ha="center", weight="bold"
        )
    names = [name.replace("initial", "initial-\n") for name in STAGE_NAMES.values()]
    axes.set_xticks(range(len(names)), names, fontsize=12)
    axes.set(title="At the end", ylabel="final σ, dashed: √L (√nats)", xlim=(-0.6, len(names) - 0.4))
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.12)
