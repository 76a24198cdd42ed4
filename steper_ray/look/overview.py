"""The overview of a folder: outcomes counted, and the first few of each."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from steper_ray.core.text import printable
from steper_ray.core.types import STAGE_TERMS, Trajectory
from steper_ray.drive.ledger import Key
from steper_ray.look.findings import Findings
from steper_ray.look.folder import LookFolder


def show_overview(
    folder: LookFolder, findings: Findings, first: Mapping[str, Sequence[Key]], read: Mapping[Key, Trajectory]
) -> RenderableType:
    """Counts, samples, and the first of each outcome.

    Args:
        folder: the folder.
        findings: everything in it.
        first: keys to list, by outcome.
        read: their trajectories; failed ones have none.
    """
    parts: list[RenderableType] = [Text(f"{folder.phase} · {folder.path}", style="bold"), _counts(findings)]
    parts += [Text(line, style="dim") for line in _notes(folder, findings)]
    parts += [_list(label, keys, findings, read) for label, keys in first.items()]
    return Group(*parts)


def _counts(findings: Findings) -> Table:
    groups, total = findings.groups(), len(findings.keys)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("outcome")
    table.add_column("trajectories", justify="right")
    table.add_column("share", justify="right")
    for label, keys in groups.items():
        table.add_row(Text(label), f"{len(keys):,}", f"{len(keys) / total:.1%}")
    table.add_row(Text("all", style="bold"), f"{total:,}", "")
    return table


def _notes(folder: LookFolder, findings: Findings) -> list[str]:
    notes = []
    if folder.samples and findings.selection is not None:
        counts = folder.samples["counts"]
        stages = ", ".join(f"{counts['stages'][stage]:,} {term}" for stage, term in STAGE_TERMS.items())
        notes.append(f"samples: {counts['samples']:,} ({stages})")
        if counts["finished"] != len(findings.endings):
            notes.append(
                f"they were made of {counts['finished']:,} trajectories; what is said here is about all "
                f"{len(findings.endings):,} finished ones"
            )
    if findings.selection is not None:
        rules = [f"{name}={value}" for name, value in _given(folder).items()]
        notes.append(f"rules: {', '.join(rules)}")
        if folder.rules.correctness == "majority":
            vote = findings.selection.agreement
            notes.append(
                f"majorities: {vote.decided:,} of {vote.asked:,} questions; {vote.gold:,} of {vote.with_gold:,} with a "
                "gold answer agree with it"
            )
    if folder.beside:
        notes.append(f"also in {folder.path.parent}: {', '.join(path.name for path in folder.beside)}")
    return notes


def _given(folder: LookFolder) -> dict[str, object]:
    names = ("correctness", "keep_paths", "per_question", "max_stage_share")
    return {name: value for name in names if (value := getattr(folder.rules, name)) is not None}


def _list(label: str, keys: Sequence[Key], findings: Findings, read: Mapping[Key, Trajectory]) -> RenderableType:
    if keys[0] not in read:
        table = _table("id", "tries", "message")
        for key in keys:
            last = findings.attempts[key][-1]
            table.add_row(_id(key), str(last.number), Text(printable(last.message)))
    else:
        table = _table("id", "question", "answer", "gold", "steps")
        for key in keys:
            found = read[key]
            gold = " | ".join(map(printable, found.question.golden_answers))
            cells = [printable(found.question.text), printable(found.answer) or "none", gold or "not known"]
            table.add_row(_id(key), *map(Text, cells), str(len(found.steps)))
    return Group(Text(), Text(label, style="bold"), table)


def _id(key: Key) -> Text:
    return Text(printable(key[0]) + (f" · path {key[1]}" if key[1] else ""))


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name, overflow="fold", ratio={"question": 3, "message": 4}.get(name))
    return table
