"""The checklist at the end of each epoch: one line per stage with loss, σ, token accuracy, and a verdict."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, variance
from typing import Any

from steper_ray.train.journal import updates_of

Line = Mapping[str, Any]
"""A line of the journal."""

FEWEST = 6
"""Updates with the stage, below which an epoch says nothing about its course."""
STARVED_BELOW = 0.25
FALLING_BELOW, DIVERGING_ABOVE = 0.98, 1.1
MOST_GAP, LEAST_MOVE = 0.1, 0.01
LOWEST, HIGHEST = math.exp(-3), math.exp(3)
"""What training projects σ onto."""


class Verdict(StrEnum):
    """How a stage fares."""

    FALLING = "falling"
    FLAT = "flat"
    DIVERGING = "diverging"
    """The loss is 10 % higher than before, beyond what its noise explains, or no number."""
    SIGMA_STUCK = "σ stuck"
    """σ is more than 10 % from √L and moved by less than 1 %."""
    STARVED = "stage starved"
    """In fewer than a quarter of the updates."""
    TOO_EARLY = "too early to say"


REMEDIES: Mapping[Verdict, str] = {
    Verdict.DIVERGING: "lower train.learning_rate",
    Verdict.SIGMA_STUCK: "raise train.sigma_learning_rate",
    Verdict.STARVED: "train.order=balanced, a larger train.batch, or samples.max_stage_share",
}


@dataclass(frozen=True, slots=True)
class StageCheck:
    """One stage at the end of an epoch."""

    term: str
    loss: float | None
    """Mean of the last third of its updates, nats; None where it was in none."""
    sigma: float
    accuracy: float | None
    """On held-out samples, when they were last looked at; None if never."""
    verdict: Verdict
    scored_at: int | None = None
    """The update after which that was, where it was not the epoch's last."""

    def __str__(self) -> str:
        """One line of text."""
        loss = "no loss" if self.loss is None else f"loss {self.loss:.3f}, √L {math.sqrt(max(self.loss, 0)):.3f}"
        when = "" if self.scored_at is None else f" (after update {self.scored_at:,})"
        accuracy = "" if self.accuracy is None else f", token accuracy {self.accuracy:.1%}{when}"
        remedy = f" ({REMEDIES[self.verdict]})" if self.verdict in REMEDIES else ""
        return f"{self.term}: {loss}, σ {self.sigma:.3f}{accuracy}: {self.verdict}{remedy}"


def check_epoch(lines: Sequence[Line], epoch: int, terms: Sequence[str]) -> list[StageCheck]:
    """The checklist of a finished epoch.

    Args:
        lines: of the journal from its start, one per update and held-out evaluation.
        epoch: 0-based, with at least one update.
        terms: loss terms that are trained, in order.
    """
    updates = [line for line in updates_of(lines) if line["epoch"] <= epoch]
    mine = [line for line in updates if line["epoch"] == epoch]
    before = [line for line in updates if line["epoch"] == epoch - 1]
    learned = any(line[f"sigma_{term}"] != 1.0 for line in updates for term in terms)
    held_out = [line for line in lines if "held_out" in line and line["epoch"] <= epoch]
    checks = []
    for term in terms:
        losses, earlier = _losses(mine, term), _losses(before, term)
        sigmas = [line[f"sigma_{term}"] for line in mine]
        scored = [line for line in held_out if f"accuracy_{term}" in line["held_out"]][-1:]
        accuracy = scored[0]["held_out"][f"accuracy_{term}"] if scored else None
        earlier_at = scored[0]["update"] if scored and scored[0]["update"] < mine[-1]["update"] else None
        verdict = _starved(losses, len(mine)) or _course(losses, earlier, sigmas if learned else [])
        last = fmean(_last_third(losses)) if losses else None
        checks.append(StageCheck(term, last, sigmas[-1], accuracy, verdict, earlier_at))
    return checks


class EpochWatch:
    """Gives the checklist of each epoch once, from lines as they come."""

    def __init__(self, terms: Sequence[str]) -> None:
        """Watch these loss terms."""
        self._terms, self._lines = terms, list[Line]()
        self._next = 0

    def note(self, lines: Iterable[Line]) -> list[str]:
        """Take further lines; texts for the epochs that they end. Of a rewound journal told epochs are not repeated."""
        for line in lines:
            if self._lines and line["update"] < self._lines[-1]["update"]:
                self._lines = [known for known in self._lines if known["update"] < line["update"]]
            self._lines.append(line)
        # The last update of an epoch may still await its held-out evaluation.
        return self._tell(until=self._epoch())

    def end(self) -> list[str]:
        """Texts for the epoch under way, when no line will follow."""
        return self._tell(until=self._epoch() + 1)

    def _epoch(self) -> int:
        return max((line["epoch"] for line in updates_of(self._lines)), default=-1)

    def _tell(self, until: int) -> list[str]:
        texts = []
        for epoch in range(self._next, until):
            checks = check_epoch(self._lines, epoch, self._terms)
            texts += [f"epoch {epoch + 1}, {check}" for check in checks]
        self._next = max(self._next, until)
        return texts


def _starved(losses: Sequence[float], updates: int) -> Verdict | None:
    return Verdict.STARVED if len(losses) < STARVED_BELOW * updates else None


def _course(losses: Sequence[float], earlier: Sequence[float], sigmas: Sequence[float]) -> Verdict:
    """Against the last third of the epoch before, or of the first epoch against its own first third."""
    if not all(map(math.isfinite, losses)):
        return Verdict.DIVERGING
    if len(losses) < FEWEST:
        return Verdict.TOO_EARLY
    now = _last_third(losses)
    then = _last_third(earlier) if len(earlier) >= FEWEST else losses[: len(now)]
    ratio = fmean(now) / fmean(then) if fmean(then) > 0 else 1.0
    noise = 2 * math.sqrt(variance(now) / len(now) + variance(then) / len(then))
    if ratio > DIVERGING_ABOVE and fmean(now) - fmean(then) > noise:
        return Verdict.DIVERGING
    if sigmas and _is_stuck(sigmas, fmean(now)):
        return Verdict.SIGMA_STUCK
    return Verdict.FALLING if ratio < FALLING_BELOW else Verdict.FLAT


def _is_stuck(sigmas: Sequence[float], loss: float) -> bool:
    rest = min(HIGHEST, max(LOWEST, math.sqrt(max(loss, 0.0))))
    return abs(sigmas[-1] / rest - 1) > MOST_GAP and abs(sigmas[-1] / sigmas[0] - 1) < LEAST_MOVE


def _losses(lines: Sequence[Line], term: str) -> list[float]:
    return [float(line[f"L_{term}"]) for line in lines if line.get(f"L_{term}") is not None]


def _last_third(values: Sequence[float]) -> Sequence[float]:
    return values[-max(2, math.ceil(len(values) / 3)) :]
