"""Where checkpoints lie in a train folder, and which of them are whole. Free of torch: driver and status look too."""

import json
from pathlib import Path

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints in a train folder."""
IDENTITY_FILE = "identity.json"
"""Of a train folder: the settings that its checkpoints belong to."""
PLAN_FILE = "plan.json"
"""Of a train folder: how many updates there shall be."""
COMPLETE = "complete"
"""File that is written last; names the others with their sizes."""


def checkpoint_folder(folder: Path, update: int) -> Path:
    """Where the checkpoint after an update lies in a train folder."""
    return folder / CHECKPOINTS / f"update-{update:08d}"


def all_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a train folder, oldest first."""
    return [place for place in sorted((folder / CHECKPOINTS).glob("update-*")) if tear(place) is None]


def latest_checkpoint(folder: Path) -> Path | None:
    """The whole checkpoint with the highest update, if any."""
    return next(reversed(all_checkpoints(folder)), None)


def torn_checkpoints(folder: Path) -> dict[Path, str]:
    """The checkpoints that cannot be continued from, and what is wrong with each."""
    places = sorted((folder / CHECKPOINTS).glob("update-*"))
    return {place: fault for place in places if (fault := tear(place)) is not None}


def tear(place: Path) -> str | None:
    """What is wrong with a checkpoint's folder; None when it is whole."""
    try:
        marker = json.loads((place / COMPLETE).read_text(encoding="utf-8"))
        files: dict[str, int] = marker["files"]
    except FileNotFoundError:
        return f"it has no file {COMPLETE!r}: its writer was interrupted"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its file {COMPLETE!r} cannot be read: {error}"
    for name, size in files.items():
        path = place / name
        if not path.is_file():
            return f"its file {name!r} is missing"
        if (found := path.stat().st_size) != size:
            return f"its file {name!r} has {found} bytes instead of {size}"
    return None
