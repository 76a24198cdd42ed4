"""`steper inspect`: an overview of a folder of trajectories, or some of them from the first query to the answer."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from steper_ray.core.types import Trajectory
from steper_ray.data.schemas import TRAJECTORIES, read_rows, trajectory_of
from steper_ray.drive.ledger import Key
from steper_ray.errors import RunFolderError
from steper_ray.look.findings import Findings, Only, read_findings
from steper_ray.look.folder import LookFolder, find_folder
from steper_ray.look.overview import show_overview
from steper_ray.look.trajectory import kept_or_dropped, right_or_wrong, show_failure, show_trajectory

LIMIT = 3


def inspect(
    run: Path, question: str | None = None, only: Only | None = None, limit: int = LIMIT, console: Console | None = None
) -> None:
    """Print what is in a folder.

    Args:
        run: a run folder, or that of generate or evaluate.
        question: show all paths of this question id.
        only: show trajectories of this kind in full; without it and `question`, the overview.
        limit: most trajectories shown, in the overview of each outcome.
        console: where to print.

    Raises:
        UserError: nothing to look into, or no such question.
    """
    console = console or Console(highlight=False)
    folder = find_folder(run)
    findings = read_findings(folder)
    if question is None and only is None:
        first = {label: keys[:limit] for label, keys in findings.groups().items()}
        read = _trajectories(folder, [key for keys in first.values() for key in keys])
        console.print(show_overview(folder, findings, first, read))
        console.print(Text(f"one in full: steper inspect {folder.path} --question ID", style="dim"))
        return
    keys = _wanted(findings, folder, question, only)
    read = _trajectories(folder, keys[:limit] if question is None else keys)
    for key in keys if question is not None else keys[:limit]:
        console.print(_shown(key, read.get(key), findings))
    if question is None:
        console.print(Text(f"{min(limit, len(keys)):,} of {len(keys):,} {only}", style="dim"))


def _wanted(findings: Findings, folder: LookFolder, question: str | None, only: Only | None) -> list[Key]:
    keys = findings.keys if only is None else findings.only(only)
    if question is None:
        return keys
    if found := [key for key in keys if key[0] == question]:
        return found
    near = get_close_matches(question, {name for name, _ in keys}, n=1)
    kind = f"{only} " if only else ""
    raise RunFolderError(
        f"no {kind}question {question!r} in {folder.path}" + (f"; did you mean {near[0]!r}?" if near else "")
    )


def _trajectories(folder: LookFolder, keys: Sequence[Key]) -> dict[Key, Trajectory]:
    found = map(trajectory_of, read_rows(folder.trajectories, TRAJECTORIES, keys=frozenset(keys)))
    return {(each.question.id, each.path): each for each in found}


def _shown(key: Key, trajectory: Trajectory | None, findings: Findings) -> RenderableType:
    attempts = findings.attempts.get(key, ())
    if trajectory is None:
        return show_failure(*key, attempts)
    if findings.selection is None:
        return show_trajectory(trajectory, right_or_wrong(trajectory), attempts)
    majority = findings.selection.answers.get(key[0])
    return show_trajectory(trajectory, kept_or_dropped(trajectory, findings.selection.reasons[key], majority), attempts)
