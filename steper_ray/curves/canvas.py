"""The look of every picture: size, type, and one colour-blind-safe colour and mark per stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"init": "#0072B2", "exp": "#D55E00", "agg": "#009E73"}
"""Okabe and Ito's blue, vermilion and bluish green: told apart with any colour vision."""

MARKS = {"init": "o", "exp": "s", "agg": "^"}

KEY = 0.07
"""Share of the height that is left free below the axes, for the picture's legend: there it hides no line."""

INK, QUIET, GRID = "#222222", "#666666", "#E4E4E4"

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.015,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
}


@contextmanager
def canvas(path: Path, title: str, subtitle: str, widths: list[float]) -> Iterator[list["Axes"]]:
    """Axes side by side with these relative widths; the picture (1,920 by 900 pixels) is written on leaving.

    The subtitle is wrapped at the width of the picture.
    """
    import textwrap

    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with matplotlib.rc_context(_STYLE):
        lines = textwrap.wrap(subtitle, 135)
        below = ConstrainedLayoutEngine(rect=(0.005, KEY, 0.99, 0.865 - KEY - 0.0405 * len(lines)), wspace=0.05)
        figure = Figure(figsize=(12.8, 6.0), dpi=150, layout=below, facecolor="white")
        figure.text(0.012, 0.965, title, fontsize=18, fontweight="bold", va="top")
        figure.text(0.012, 0.905, "\n".join(lines), fontsize=12.5, color=QUIET, va="top", linespacing=1.4)
        axes = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
        yield list(axes)
        figure.savefig(path)
