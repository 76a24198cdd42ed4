"""Resumable training states: sharded files (torch DCP), marked complete when the last of them is written."""

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from steper_ray.errors import PhaseFailed
from steper_ray.student.ranks import Ranks
from steper_ray.train.checkpoint_folders import COMPLETE, all_checkpoints, checkpoint_folder
from steper_ray.train.state import TrainState

_SMALL = "small.pt"
_OPTIONS = StateDictOptions(ignore_frozen_params=True)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A checkpoint whose files are being written."""

    place: Path
    update: int
    best: int | None
    small: dict[str, Any]
    written: "Future[Any] | None"
    """None when they are written already."""
    started: float
    """On the monotonic clock."""


class CheckpointWriter:
    """Writes the checkpoints of a training and removes old ones; every rank has one and calls it alike.

    Kept are the newest ones and that of the best held-out evaluation. With adapters only these are written: the frozen
    weights are those of the model folder.
    """

    def __init__(
        self,
        folder: Path,
        ranks: Ranks,
        keep: int,
        *,
        background: bool = False,
        saved: Callable[[int, float], None] = lambda _update, _seconds: None,
    ) -> None:
        """Keep so many newest checkpoints in a train folder; `background` writes while the training goes on.

        `saved` hears on the first rank of each one that is complete: its update, and the seconds it took.
        """
        self._folder, self._ranks, self._keep, self._saved = folder, ranks, keep, saved
        # Its own group: its collectives run in another thread than those of the training.
        self._group = dist.new_group(backend="gloo") if background else None
        self._pending: _Pending | None = None

    def save(self, state: TrainState) -> None:
        """Write weights, moments, σ, selection and update number.

        What a killed save left under the same name is removed first; the marker comes last.

        Raises:
            PhaseFailed: on every rank, when a rank cannot write. In the background: the save before this one.
        """
        self.finish()
        started = time.monotonic()
        place = checkpoint_folder(self._folder, state.update)
        _together(self._ranks, place, lambda: _clear(place))
        small = {"update": state.update, **state.sigmas.state_dict(), "selection": state.selection.state_dict()}
        model, optimizer = get_state_dict(state.model, state.optimizer, options=_OPTIONS)
        content = {"model": model, "optimizer": optimizer}
        written: Any = None
        try:
            if self._group:
                written = state_dict_saver.async_save(content, checkpoint_id=place, process_group=self._group)
            else:
                state_dict_saver.save(content, checkpoint_id=place)
        except CheckpointException as error:  # the same on every rank
            raise _unwritable(place, _first_failure(error)) from None
        self._pending = _Pending(place, state.update, state.selection.update, small, written, started)
        if not self._group:
            self.finish()

    def finish(self) -> None:
        """Wait for the checkpoint that is being written, mark it complete and remove old ones.

        Raises:
            PhaseFailed: as `save`.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if pending.written:
            try:
                pending.written.result()
            except CheckpointException as error:
                raise _unwritable(pending.place, _first_failure(error)) from None
        _together(self._ranks, pending.place, lambda: self._complete(pending))

    def _complete(self, pending: _Pending) -> None:
        torch.save(pending.small, pending.place / _SMALL)
        files = {path.name: path.stat().st_size for path in sorted(pending.place.iterdir())}
        marker = json.dumps({"update": pending.update, "files": files})
        (pending.place / COMPLETE).write_text(marker, encoding="utf-8")
        newest = all_checkpoints(self._folder)[-self._keep :]
        best = checkpoint_folder(self._folder, pending.best) if pending.best else None
        for place in (self._folder / pending.place.parent.name).glob("update-*"):
            if place not in newest and place != best:
                shutil.rmtree(place, ignore_errors=True)
        self._saved(pending.update, time.monotonic() - pending.started)


def load_checkpoint(source: Path, state: TrainState) -> None:
    """Bring `state` to a checkpoint, saved by any number of ranks; every rank must call it."""
    model, optimizer = get_state_dict(state.model, state.optimizer, options=_OPTIONS)
    # Read in place.
    state_dict_loader.load({"model": model, "optimizer": optimizer}, checkpoint_id=source)
    # Frozen weights are not in the checkpoint; hence not strict.
    options = StateDictOptions(ignore_frozen_params=True, strict=False)
    set_state_dict(
        state.model,
        state.optimizer,
        model_state_dict=model,
        optim_state_dict=optimizer,
        options=options,
    )
    small: dict[str, Any] = torch.load(source / _SMALL, weights_only=True, map_location="cpu")
    state.sigmas.load_state_dict(small)
    state.selection.load_state_dict(small["selection"])
    state.update = int(small["update"])


def _clear(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)


def _together(ranks: Ranks, place: Path, work: Callable[[], None]) -> None:
    """Let the first rank work while the others wait.

    Raises:
        PhaseFailed: on every rank, when it could not.
    """
    fault = ""
    if ranks.first:
        try:
            work()
        except (OSError, RuntimeError) as error:  # torch.save reports a full disk as a RuntimeError
            fault = str(error)
    if fault := ranks.agree(fault):
        raise _unwritable(place, fault)


def _first_failure(error: CheckpointException) -> str:
    return "; ".join(dict.fromkeys(str(failure[0]).splitlines()[0] for failure in error.failures.values()))


def _unwritable(place: Path, reason: str) -> PhaseFailed:
    return PhaseFailed(
        f"the checkpoint {place} could not be written: {reason}; make room or mend the storage, then the same command "
        "continues from the checkpoint before"
    )
