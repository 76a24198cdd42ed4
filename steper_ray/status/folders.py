"""Which phases a run folder has, and where."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steper_ray.drive.fingerprint import FINGERPRINT_FILE
from steper_ray.errors import RunFolderError
from steper_ray.runs import CONFIG_FILE, MANIFEST_FILE
from steper_ray.train.checkpoint_folders import IDENTITY_FILE

PHASES = ("index", "generate", "samples", "train", "evaluate", "report")
"""In the order in which a run needs them."""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none, since an interrupted phase has written less."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def phase_folders(run: Path) -> list[tuple[str, str, Path]]:
    """Name, phase and folder of every phase of a run: those of a pipeline in its order, begun or not, then others.

    Raises:
        RunFolderError: neither a run nor the folder of a phase.
    """
    if not run.is_dir():
        raise RunFolderError(f"{run} is no folder; name a run folder, that of a phase, or an address of storage")
    if phase := _phase(run):
        return [(run.name, phase, run)]
    settings = _settings(run)
    standard = [(name, name, _folder(name, run, settings)) for name in _needed(settings)]
    known = {folder.resolve() for _, _, folder in standard}
    others = [
        (child.name, phase, child)
        for child in sorted(run.iterdir())
        if child.is_dir()
        and not child.name.startswith(".")
        and child.resolve() not in known
        and (phase := _phase(child))
    ]
    if not others and not any(folder.exists() for _, _, folder in standard) and not (run / CONFIG_FILE).exists():
        raise RunFolderError(f"there is no phase of a run in {run}; name a run folder, or begin with `steper index`")
    return [*standard, *others]


def _phase(folder: Path) -> str:
    """The phase that a folder is of: as its manifest says, else as its contents show; empty for any other folder."""
    if said := read_json(folder / MANIFEST_FILE).get("phase"):
        return str(said)
    settings = read_json(folder / CONFIG_FILE)
    if (folder / IDENTITY_FILE).exists() and settings:
        return "train"
    if (folder / FINGERPRINT_FILE).exists() or (folder / "trajectories").is_dir():
        own = _own(settings, "evaluate") or Path("evaluate")
        return "evaluate" if own.name == folder.name else "generate"
    return folder.name if settings and folder.name in ("ablate", "report") else ""


def _settings(run: Path) -> dict[str, Any]:
    """The newest resolved configuration of the run."""
    files = [path for path in [run / CONFIG_FILE, *run.glob(f"*/{CONFIG_FILE}")] if path.is_file()]
    return read_json(max(files, key=lambda path: path.stat().st_mtime)) if files else {}


def _needed(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """A search service comes with an index of its own."""
    searched = (settings.get("retriever") or {}).get("backend") == "http"
    return PHASES[1:] if searched else PHASES


def _folder(phase: str, run: Path, settings: Mapping[str, Any]) -> Path:
    own = _own(settings, phase)
    if own and own.exists():
        return own
    return run / "generate" / "samples" if phase == "samples" else run / phase


def _own(settings: Mapping[str, Any], phase: str) -> Path | None:
    told = (settings.get(phase) or {}).get("folder")
    return Path(told) if told else None
