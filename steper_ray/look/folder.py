"""The folder to look into: found below a run, with the rules by which its samples are made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from steper_ray.core.selection import Correctness, SelectionRules
from steper_ray.data.schemas import part_files
from steper_ray.errors import RunFolderError
from steper_ray.runs import CONFIG_FILE, MANIFEST_FILE
from steper_ray.sections.generate import SamplesSection


class LookPhase(StrEnum):
    """Whose trajectories a folder holds."""

    GENERATE = "generate"
    EVALUATE = "evaluate"


@dataclass(frozen=True, slots=True)
class LookFolder:
    """A folder with trajectories/ and failures/."""

    path: Path
    phase: LookPhase
    rules: SelectionRules
    """Of the samples that were made of it; without any, of its configuration."""
    samples: Mapping[str, Any] | None
    """The samples' manifest, where there is one."""
    beside: tuple[Path, ...] = ()
    """Other folders of the run that can be looked into."""

    @property
    def trajectories(self) -> Path:
        """Finished trajectories."""
        return self.path / "trajectories"

    @property
    def failures(self) -> Path:
        """Failed attempts."""
        return self.path / "failures"


def find_folder(run: Path) -> LookFolder:
    """The folder itself, or of a run folder generate's, then evaluate's, then any other.

    Raises:
        RunFolderError: no trajectories there.
    """
    if not run.is_dir():
        raise RunFolderError(f"{run} is no folder; name a run folder, or that of generate or evaluate")
    if _holds_work(run):
        return _read(run, ())
    below = sorted(filter(_holds_work, run.iterdir()), key=lambda path: (_rank(path.name), path.name))
    if not below:
        raise RunFolderError(f"no trajectories in {run}; run `steper generate` or `steper evaluate` first")
    return _read(below[0], tuple(below[1:]))


def _holds_work(folder: Path) -> bool:
    return any(part_files(folder / name) for name in ("trajectories", "failures"))


def _rank(name: str) -> int:
    names = [phase.value for phase in LookPhase]
    return names.index(name) if name in names else len(names)


def _read(folder: Path, beside: tuple[Path, ...]) -> LookFolder:
    config = _json(folder / CONFIG_FILE)
    section = _section(config, folder)
    samples = _json(section.folder or folder / "samples", MANIFEST_FILE) or _json(folder / "samples", MANIFEST_FILE)
    rules = samples.get("facts", {}).get("rules") if samples else None
    return LookFolder(
        path=folder,
        phase=_phase(folder, config),
        rules=_rules(rules) if rules else section.rules(),
        samples=samples or None,
        beside=beside,
    )


def _phase(folder: Path, config: Mapping[str, Any]) -> LookPhase:
    """As the manifest says; of an unfinished folder, as its configuration names it."""
    said = _json(folder / MANIFEST_FILE).get("phase")
    if said in list(LookPhase):
        return LookPhase(said)
    own = (config.get("evaluate") or {}).get("folder") or "evaluate"
    return LookPhase.EVALUATE if Path(own).name == folder.name else LookPhase.GENERATE


def _section(config: Mapping[str, Any], folder: Path) -> SamplesSection:
    try:
        return SamplesSection.model_validate(config.get("samples") or {})
    except ValidationError:
        raise RunFolderError(f"{folder / CONFIG_FILE} has a samples section that this steper_ray cannot read") from None


def _rules(values: Mapping[str, Any]) -> SelectionRules:
    return SelectionRules(**{**values, "correctness": Correctness(values["correctness"])})


def _json(*parts: Path | str) -> dict[str, Any]:
    """A JSON object; empty where there is none, since an interrupted phase has written less."""
    try:
        values = json.loads(Path(*parts).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
