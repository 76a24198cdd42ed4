"""The pictures: σ beside what holds it, and the losses and token accuracies of the stages."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steper_ray.report.canvas import COLOURS, INK, MARKS, QUIET, canvas
from steper_ray.report.history import History
from steper_ray.report.smoothing import reach_for, smooth
from steper_ray.report.words import STAGE_NAMES, judge

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_DASHES = (0, (4, 2))


def draw_sigmas(history: History, subtitle: str, path: Path) -> None:
    """σ over updates with √L beside it (dashed, same colour), and bars of the final σ."""
    with canvas(path, "Learned difficulty of the stages", subtitle, [2.6, 1.2]) as (course, ends):
        for term in history.terms:
            _sigma_lines(course, history, term)
        course.plot([], [], color=INK, linewidth=2.6, label="σ")
        course.plot([], [], color=INK, linewidth=1.6, linestyle=_DASHES, label="√L (running mean)")
        course.set(title="Over the training", ylabel="σ and √L (√nats)")
        _over_updates(course)
        _sigma_bars(ends, history)


def draw_losses(history: History, subtitle: str, path: Path) -> None:
    """Stage losses over updates with the held-out points, and held-out token accuracy where it was measured."""
    has_accuracy = any(point.accuracies for point in history.held_out)
    with canvas(path, "Loss of the stages", subtitle, [1.7, 1.0] if has_accuracy else [1.0]) as axes:
        for term in history.terms:
            _loss_lines(axes[0], history, term)
        axes[0].plot([], [], color=INK, linewidth=2.4, label="training (running mean)")
        if history.held_out:
            axes[0].plot([], [], color=INK, linestyle="none", marker="$○□△$", markersize=34, label="held out")
        axes[0].set(title="Cross entropy of the target tokens", ylabel="loss (nats per token)")
        _over_updates(axes[0])
        if has_accuracy:
            _accuracies(axes[1], history)
            axes[1].set_xlim(axes[0].get_xlim())


def _sigma_lines(axes: "Axes", history: History, term: str) -> None:
    axes.plot(*history.sigmas(term), color=COLOURS[term], linewidth=2.6, label=STAGE_NAMES[term])
    numbers, losses = history.losses(term)
    roots = [math.sqrt(max(loss, 0.0)) for loss in smooth(losses, reach_for(len(losses)))]
    axes.plot(numbers, roots, color=COLOURS[term], linewidth=1.6, linestyle=_DASHES)


def _sigma_bars(axes: "Axes", history: History) -> None:
    ends = judge(history)
    for place, term in enumerate(STAGE_NAMES):
        if term not in ends:
            axes.text(place, 0, "not\ntrained", ha="center", va="bottom", color=QUIET)
            continue
        sigma, rest = ends[term].sigma, ends[term].rest
        axes.bar(place, sigma, width=0.62, color=COLOURS[term])
        axes.hlines(rest, place - 0.4, place + 0.4, color=INK, linewidth=1.8, linestyle=_DASHES)
        axes.annotate(
            f"{sigma:.3f}", (place, max(sigma, rest)), (0, 5), textcoords="offset points", ha="center", weight="bold"
        )
    names = [name.replace("initial", "initial-\n") for name in STAGE_NAMES.values()]
    axes.set_xticks(range(len(names)), names, fontsize=12)
    axes.set(title="At the end", ylabel="final σ, dashed: √L (√nats)", xlim=(-0.6, len(names) - 0.4))
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.12)


def _loss_lines(axes: "Axes", history: History, term: str) -> None:
    numbers, losses = history.losses(term)
    axes.plot(numbers, losses, color=COLOURS[term], linewidth=0.9, alpha=0.28)
    shown = smooth(losses, reach_for(len(losses)))
    axes.plot(numbers, shown, color=COLOURS[term], linewidth=2.4, label=STAGE_NAMES[term])
    points = [(point.number, point.losses[term]) for point in history.held_out if term in point.losses]
    if points:
        axes.plot(*zip(*points, strict=True), linestyle="none", **_marks(term))


def _accuracies(axes: "Axes", history: History) -> None:
    for term in history.terms:
        points = [
            (point.number, 100 * point.accuracies[term]) for point in history.held_out if term in point.accuracies
        ]
        if points:
            axes.plot(*zip(*points, strict=True), linewidth=1.6, **_marks(term))
    axes.set(title="Held-out token accuracy", xlabel="update", ylabel="target tokens with the highest logit (%)")
    axes.locator_params(axis="x", integer=True)


def _over_updates(axes: "Axes") -> None:
    axes.set_xlabel("update")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", integer=True)
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="lower left", ncols=5, handlelength=2.0, borderaxespad=0.3)


def _marks(term: str) -> dict[str, Any]:
    return {
        "color": COLOURS[term],
        "marker": MARKS[term],
        "markersize": 8.5,
        "markeredgecolor": "white",
        "markeredgewidth": 1.2,
        "zorder": 5,
    }
