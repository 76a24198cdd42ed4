"""A run folder as it stands: each phase with state, progress and what is wrong, and the command that comes next."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from steper_ray.called import noted_command
from steper_ray.drive.fingerprint import WORK_FILE
from steper_ray.drive.lock import Holder, holder_of
from steper_ray.postmortem import last_cause
from steper_ray.runs import CONFIG_FILE, MANIFEST_FILE
from steper_ray.status.folders import PHASES, phase_folders, read_json
from steper_ray.status.health import failing, silence, worth_another_try
from steper_ray.status.phase import PhaseStatus, Progress, State, state_of
from steper_ray.status.questions import questions_progress
from steper_ray.status.updates import updates_progress

_COUNTED = {"index": "passages", "samples": "samples", "train": "samples"}
_LOOPS = ("generate", "evaluate")


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run."""

    folder: Path
    phases: tuple[PhaseStatus, ...]
    holder: Holder | None
    """Of the run folder itself: a pipeline."""
    next: str
    """What to do now: a command, or words."""


def read_status(run: Path, now: float) -> RunStatus:
    """Look at a run; `now` in seconds since the epoch.

    Raises:
        RunFolderError: no run there.
    """
    phases = tuple(_status(name, phase, folder, run, now) for name, phase, folder in phase_folders(run))
    holder = holder_of(run) if len(phases) > 1 else None
    return RunStatus(run, phases, holder, _next(run, phases, holder))


def _status(name: str, phase: str, folder: Path, run: Path, now: float) -> PhaseStatus:
    manifest, holder = read_json(folder / MANIFEST_FILE), holder_of(folder)
    progress = _progress(phase, folder, manifest, now)
    sign = max(progress.last_sign or 0.0 if progress else 0.0, holder.since if holder else 0.0)
    finished = bool(manifest) and not (phase in _LOOPS and (folder / WORK_FILE).exists())
    begun = (folder / CONFIG_FILE).exists() or holder is not None
    state = state_of(exists=begun, finished=finished, holder=holder, quiet_s=now - sign)
    if progress and state is not State.FINISHED:
        progress = replace(progress, last_sign=sign or None)
    return PhaseStatus(
        name=name,
        phase=phase,
        folder=folder,
        state=state,
        progress=progress,
        holder=holder,
        ended=_moment(manifest.get("written")) if state is State.FINISHED else None,
        findings=tuple(_findings(state, progress, run, sign, now)),
        command=noted_command(folder),
    )


def _progress(phase: str, folder: Path, manifest: dict[str, Any], now: float) -> Progress | None:
    if phase in _LOOPS:
        found, counts = questions_progress(folder, now), manifest.get("counts", {})
        return replace(found, total=counts.get("asked")) if found.total is None else found
    if phase == "train":
        workers = (read_json(folder / CONFIG_FILE).get("train") or {}).get("workers")
        return updates_progress(folder, workers, manifest.get("facts", {}).get("updates"))
    if unit := _COUNTED.get(phase):
        number = manifest.get("counts", {}).get(unit)
        return None if number is None else Progress(unit, number, number)
    return None


def _findings(state: State, progress: Progress | None, run: Path, sign: float, now: float) -> list[str]:
    found = []
    if state is State.STOPPED and (cause := last_cause(run, since=sign)):
        found.append(cause)
    if progress is None:
        return found
    found += [*progress.findings, *failing(progress)]
    if state is State.RUNNING:
        found += silence(progress, now)
    if state is State.FINISHED:
        found += worth_another_try(progress)
    return found


def _next(run: Path, phases: Sequence[PhaseStatus], holder: Holder | None) -> str:
    if (holder and holder.alive) or any(phase.state is State.RUNNING for phase in phases):
        return "nothing; it runs"
    whole = noted_command(run)
    open_ones = [phase for phase in phases if phase.state in (State.STOPPED, State.NOT_BEGUN)]
    # What was stopped comes first: later phases may have been made from an earlier state of it.
    for phase in sorted(open_ones, key=lambda phase: phase.state is not State.STOPPED):
        if whole and len(phases) > 1:
            return whole
        if phase.state is State.STOPPED:
            return phase.command or f"steper {phase.phase} with the settings of {phase.folder / CONFIG_FILE}"
        if phase.phase != "report" or any(each.phase in ("train", "evaluate") for each in phases):
            return following([each.command for each in phases if each.command], phase.phase)
    return "nothing; all is finished"


def following(commands: Sequence[str], phase: str) -> str:
    """The command of a phase with the settings that an earlier one was given; without those the bare one."""
    for command in reversed(commands):
        words = shlex.split(command)
        names = {name: name for name in PHASES} | {f"jobs/{name}.py": name for name in PHASES}
        place = next((place for place, word in enumerate(words) if word in names), None)
        if place is not None:
            word = f"jobs/{phase}.py" if words[place].startswith("jobs/") else phase
            return shlex.join([*words[:place], word, *_settings(words[place + 1 :])])
    return f"steper {phase} with the settings of the phases before it"


def _settings(words: Sequence[str]) -> list[str]:
    """Without flags: they hold for one phase."""
    kept: list[str] = []
    flag = False
    for word in words:
        if not word.startswith("--") and not flag:
            kept.append(word)
        flag = word in ("--limit", "--sample")
    return kept


def _moment(written: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(written)).timestamp()
    except ValueError:
        return None
