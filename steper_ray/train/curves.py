"""`curves.png`: losses, held-out figures and σ of a training, drawn while it runs."""

import time
from pathlib import Path

from steper_ray.curves.canvas import canvas
from steper_ray.curves.history import History, read_history
from steper_ray.curves.lines import draw_accuracies, draw_loss_course, draw_sigma_course, over_updates

CURVES_FILE = "curves.png"
_EVERY_S = 30.0
_MOST_SHARE = 0.05
"""Most of the time that drawing may take."""


class Curves:
    """Keeps the picture in a train folder fresh."""

    def __init__(self, folder: Path, every_s: float = _EVERY_S) -> None:
        """Draw into a train folder, at most every so many seconds."""
        self._folder, self._every_s = folder, every_s
        self._next = time.monotonic() + every_s
        self._size = 0

    def refresh(self, *, last: bool = False) -> None:
        """Draw again when it is due, or when the training has ended; whatever goes wrong costs the picture alone."""
        started = time.monotonic()
        if not last and started < self._next:
            return
        try:
            size = (self._folder / "metrics.jsonl").stat().st_size
            if size != self._size:
                draw_curves(self._folder, self._folder / CURVES_FILE)
                self._size = size
        except Exception:  # an empty journal, a full disk, a broken font: none of these may end a training
            pass
        ended = time.monotonic()
        self._next = ended + max(self._every_s, (ended - started) / _MOST_SHARE)


def draw_curves(folder: Path, target: Path) -> None:
    """Draw the journal of a train folder; the picture appears when it is whole.

    Raises:
        RunFolderError: no update yet.
    """
    history = read_history(folder)
    temporary = target.with_name(f".{target.stem}.tmp{target.suffix}")
    has_accuracy = any(point.accuracies for point in history.held_out)
    try:
        with canvas(temporary, "Training", _subtitle(history), [1.3, 0.9, 1.0] if has_accuracy else [1.3, 1.0]) as axes:
            draw_loss_course(axes[0], history)
            over_updates(axes[0])
            if has_accuracy:
                draw_accuracies(axes[1], history)
                axes[1].set_xlim(axes[0].get_xlim())
            draw_sigma_course(axes[-1], history)
            axes[-1].set_title("σ and √L (dashed)")
            over_updates(axes[-1], key=False)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _subtitle(history: History) -> str:
    last = history.updates[-1]
    losses = ", ".join(f"L {term} {last.losses[term]:.3f}" for term in history.terms if term in last.losses)
    return f"Update {last.number:,}: {losses}; thin lines are single updates."
