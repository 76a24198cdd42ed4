"""The course of a training run, read from `metrics.jsonl`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.core.types import STAGE_TERMS
from steper_ray.errors import InputError, RunFolderError

METRICS_FILE = "metrics.jsonl"
TERMS: tuple[str, ...] = tuple(STAGE_TERMS.values())
"""init, exp, agg."""
STAGE_NAMES: dict[str, str] = {term: stage.value.removeprefix("reasoning_") for stage, term in STAGE_TERMS.items()}
"""`init` → `initialization` …"""


@dataclass(frozen=True, slots=True)
class Update:
    """One optimizer update; a stage absent from its batch has no loss."""

    number: int
    losses: Mapping[str, float]
    """Stage means by term, nats."""
    sigmas: Mapping[str, float]
    """σ by term."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One evaluation on held-out samples, after update `number`."""

    number: int
    losses: Mapping[str, float]
    accuracies: Mapping[str, float]
    """Token accuracy by term, 0 to 1."""


@dataclass(frozen=True, slots=True)
class History:
    """All updates in order, and the held-out evaluations."""

    updates: Sequence[Update]
    held_out: Sequence[HeldOut]

    @property
    def terms(self) -> list[str]:
        """The loss terms that were ever trained, in the order of the stages."""
        return [term for term in TERMS if any(term in update.losses for update in self.updates)]

    def losses(self, term: str) -> tuple[list[int], list[float]]:
        """Update numbers and losses of one term, where it was present."""
        present = [update for update in self.updates if term in update.losses]
        return [update.number for update in present], [update.losses[term] for update in present]

    def sigmas(self, term: str) -> tuple[list[int], list[float]]:
        """Update numbers and σ of one term."""
        present = [update for update in self.updates if term in update.sigmas]
        return [update.number for update in present], [update.sigmas[term] for update in present]


def read_history(train_folder: Path) -> History:
    """Read metrics.jsonl of a train folder; of lines about the same update the last counts.

    Raises:
        RunFolderError: there is none, or it has no update yet.
        InputError: a line is broken; names it.
    """
    path = train_folder / METRICS_FILE
    if not path.is_file():
        raise RunFolderError(f"no {METRICS_FILE} in {train_folder}; run `steper train` first, or set train.folder")
    updates: dict[int, Update] = {}
    held_out: dict[int, HeldOut] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), start=1):
        # A line without its end is still being written.
        if not text.endswith("\n"):
            break
        line = _parse(text, path, number)
        if "held_out" in line:
            held_out[line["update"]] = _held_out(line)
        else:
            updates[line["update"]] = _update(line)
    if not updates:
        raise RunFolderError(f"{path} has no update yet; try again when the training has made some")
    return History([updates[number] for number in sorted(updates)], [held_out[number] for number in sorted(held_out)])


def _parse(text: str, path: Path, number: int) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise InputError(f"not JSON: {error}", file=path, line=number, found=text.strip()) from None
    if not isinstance(line, dict) or not isinstance(line.get("update"), int):
        raise InputError("must be an object with a whole number `update`", file=path, line=number, found=text.strip())
    return line


def _update(line: Mapping[str, Any]) -> Update:
    return Update(line["update"], _by_term(line, "L_{}"), _by_term(line, "sigma_{}"))


def _held_out(line: Mapping[str, Any]) -> HeldOut:
    values = line["held_out"]
    return HeldOut(line["update"], _by_term(values, "L_{}"), _by_term(values, "accuracy_{}"))


def _by_term(values: Mapping[str, Any], name: str) -> dict[str, float]:
    return {term: float(values[name.format(term)]) for term in TERMS if values.get(name.format(term)) is not None}
