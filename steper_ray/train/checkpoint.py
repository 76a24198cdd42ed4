"""Resumable training states: sharded files (torch DCP), marked complete when the last of them is written."""

import shutil
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from steper_ray.runs import write_json
from steper_ray.train.job import CHECKPOINTS
from steper_ray.train.state import TrainState

COMPLETE = "complete"
_SIGMA = "sigma.pt"
_OPTIONS = StateDictOptions(ignore_frozen_params=True)


def checkpoint_folder(folder: Path, update: int) -> Path:
    """Where the checkpoint after an update lies in a train folder."""
    return folder / CHECKPOINTS / f"update-{update:08d}"


def latest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint with the highest update, if any."""
    found = sorted((folder / CHECKPOINTS).glob(f"update-*/{COMPLETE}"))
    return found[-1].parent if found else None


def save_checkpoint(folder: Path, state: TrainState) -> Path:
    """Write weights, moments, σ and update number; every rank must call it. Returns the checkpoint's folder.

    With adapters only these are written: the frozen weights are those of the model folder. What a killed save left
    under the same name is removed first; the marker comes last.
    """
    target = checkpoint_folder(folder, state.update)
    if state.ranks.first:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
    state.ranks.wait()
    model, optimizer = get_state_dict(state.model, state.optimizer, options=_OPTIONS)
    state_dict_saver.save({"model": model, "optimizer": optimizer}, checkpoint_id=target)
    if state.ranks.first:
        torch.save({"update": state.update, **state.sigmas.state_dict()}, target / _SIGMA)
        write_json(target / COMPLETE, {"update": state.update})
    state.ranks.wait()
    return target


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
    small: dict[str, Any] = torch.load(source / _SIGMA, weights_only=True, map_location="cpu")
    state.sigmas.load_state_dict(small)
    state.update = int(small["update"])
