"""Lines over updates: losses and token accuracies of the stages, and σ beside what holds it."""

import math
from typing import TYPE_CHECKING, Any

from steper_ray.curves.canvas import COLOURS, INK, MARKS
from steper_ray.curves.history import STAGE_NAMES, History
from steper_ray.curves.smoothing import reach_for, smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DASHES = (0, (4, 2))


def draw_loss_course(axes: "Axes", history: History) -> None:
    """Stage losses with the held-out points."""
    for term in history.terms:
        _loss_lines(axes, history, term)
    axes.plot([], [], color=INK, linewidth=2.4, label="training (running mean)")
    if history.held_out:
        axes.plot([], [], color=INK, linestyle="none", marker="$○□△$", markersize=34, label="held out")
    axes.set(title="Cross entropy of the target tokens", ylabel="loss (nats per token)")


def draw_sigma_course(axes: "Axes", history: History) -> None:
    """σ with √L beside it (dashed, same colour)."""
    for term in history.terms:
        _sigma_lines(axes, history, term)
    axes.plot([], [], color=INK, linewidth=2.6, label="σ")
    axes.plot([], [], color=INK, linewidth=1.6, linestyle=DASHES, label="√L (running mean)")
    axes.set(title="Over the training", ylabel="σ and √L (√nats)")


def draw_accuracies(axes: "Axes", history: History) -> None:
    """Held-out token accuracy, where it was measured."""
    for term in history.terms:
        points = [
            (point.number, 100 * point.accuracies[term]) for point in history.held_out if term in point.accuracies
        ]
        if points:
            axes.plot(*zip(*points, strict=True), linewidth=1.6, **_marks(term))
    axes.set(title="Held-out token accuracy", xlabel="update", ylabel="target tokens with the highest logit (%)")
    axes.locator_params(axis="x", integer=True)


def over_updates(axes: "Axes", *, key: bool = True) -> None:
    """Set up axes whose x is the update, with the picture's legend below if this is the one that has it."""
    axes.set_xlabel("update")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", integer=True)
    if key:
        handles, labels = axes.get_legend_handles_labels()
        axes.figure.legend(handles, labels, loc="lower left", ncols=5, handlelength=2.0, borderaxespad=0.3)


def _sigma_lines(axes: "Axes", history: History, term: str) -> None:
    axes.plot(*history.sigmas(term), color=COLOURS[term], linewidth=2.6, label=STAGE_NAMES[term])
    numbers, losses = history.losses(term)
    roots = [math.sqrt(max(loss, 0.0)) for loss in smooth(losses, reach_for(len(losses)))]
    axes.plot(numbers, roots, color=COLOURS[term], linewidth=1.6, linestyle=DASHES)


def _loss_lines(axes: "Axes", history: History, term: str) -> None:
    numbers, losses = history.losses(term)
    axes.plot(numbers, losses, color=COLOURS[term], linewidth=0.9, alpha=0.28)
    shown = smooth(losses, reach_for(len(losses)))
    axes.plot(numbers, shown, color=COLOURS[term], linewidth=2.4, label=STAGE_NAMES[term])
    points = [(point.number, point.losses[term]) for point in history.held_out if term in point.losses]
    if points:
        axes.plot(*zip(*points, strict=True), linestyle="none", **_marks(term))


def _marks(term: str) -> dict[str, Any]:
    return {
        "color": COLOURS[term],
        "marker": MARKS[term],
        "markersize": 8.5,
        "markeredgecolor": "white",
        "markeredgewidth": 1.2,
        "zorder": 5,
    }
