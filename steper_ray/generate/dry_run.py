"""`steper generate --dry-run`: a few questions through the real path, and what the rest would take."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from steper_ray.config import Config
from steper_ray.data.schemas import TRAJECTORIES, part_files, read_rows
from steper_ray.drive.ledger import read_ledger
from steper_ray.drive.load import most_in_flight
from steper_ray.errors import PhaseFailed
from steper_ray.generate.asked import question_set
from steper_ray.generate.run import generate

QUESTIONS = 20
FOLDER = "dry-run"


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the questions of a dry run came to."""

    trajectories: int
    correct: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    """Time of all their steps one after the other, passages and text."""
    bytes: int
    """On disk: trajectories and samples."""
    at_once: int
    """How many of them were driven at the same time at most."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What so many (question, path) will take."""

    keys: int
    prompt_tokens: float
    computed_tokens: float
    """Prompt tokens that are not found in the prefix cache."""
    completion_tokens: float
    hours_least: float
    """If a full engine is as quick per question as in the dry run."""
    hours_most: float
    """If more questions at once gain nothing."""
    cost: float | None
    """By the endpoint's prices; None without prices."""
    gib: float


def dry_run(config: Config) -> None:
    """Drive a random few of the questions in a folder of its own, and print what the whole would take.

    Raises:
        UserError, PhaseFailed: as `generate`.
    """
    folder = config.folder("generate") / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    section = config.generate
    limit = min(QUESTIONS, section.limit or QUESTIONS)
    few = section.model_copy(update={"folder": folder, "limit": limit, "sample": config.run.seed, "uri": None})
    samples = config.samples.model_copy(update={"folder": None, "uri": None})
    generate(config.model_copy(update={"generate": few, "samples": samples}))
    actors = section.actors_max or section.actors
    in_flight = section.in_flight or most_in_flight(config.teacher.max_batch)
    found = _sampled(folder, min(limit * section.paths, in_flight * actors))
    keys = _keys_left(config)
    prices = (config.teacher.price_in, config.teacher.price_out)
    _tell(found, estimate(found, keys, in_flight * actors, prices), folder)


def estimate(found: Sampled, keys: int, at_once: int, prices: tuple[float | None, float | None]) -> Estimate:
    """Scale the figures of a dry run.

    Args:
        found: the dry run.
        keys: (question, path) still to be done.
        at_once: questions in flight over all engines, of the whole run.
        prices: of a million prompt tokens and a million completion tokens.
    """
    per_key = keys / found.trajectories
    work_hours = found.seconds * per_key / 3600
    prompt, written = found.prompt_tokens * per_key, found.completion_tokens * per_key
    price_in, price_out = prices
    priced = price_in is not None or price_out is not None
    return Estimate(
        keys=keys,
        prompt_tokens=prompt,
        computed_tokens=(found.prompt_tokens - found.cached_tokens) * per_key,
        completion_tokens=written,
        hours_least=work_hours / max(at_once, found.at_once),
        hours_most=work_hours / found.at_once,
        cost=(prompt * (price_in or 0.0) + written * (price_out or 0.0)) / 1e6 if priced else None,
        gib=found.bytes * per_key / 2**30,
    )


def _sampled(folder: Path, at_once: int) -> Sampled:
    rows = list(read_rows(folder / "trajectories", TRAJECTORIES))
    if not rows:
        raise PhaseFailed(f"the dry run finished no question; see {folder}")
    steps = [step for row in rows for step in row["steps"]]
    files = [*part_files(folder / "trajectories"), *part_files(folder / "samples")]
    return Sampled(
        trajectories=len(rows),
        correct=sum(bool(row["correct"]) for row in rows),
        prompt_tokens=sum(step["prompt_tokens"] for step in steps),
        cached_tokens=sum(step["cached_tokens"] for step in steps),
        completion_tokens=sum(step["completion_tokens"] for step in steps),
        seconds=sum(step["seconds"] + step["search_seconds"] for step in steps),
        bytes=sum(file.stat().st_size for file in files),
        at_once=at_once,
    )


def _keys_left(config: Config) -> int:
    folder, section = config.folder("generate"), config.generate
    questions = question_set(config).questions
    ledger = read_ledger(folder / "trajectories", folder / "failures")
    return len(ledger.left(questions, section.paths, retry_permanent=section.retry_permanent))


def _tell(found: Sampled, whole: Estimate, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"dry run: {found.trajectories} trajectories, {found.correct} correct", title_justify="left")
    table.add_column("")
    table.add_column("dry run", justify="right")
    table.add_column(f"the {whole.keys:,} still to be done", justify="right")
    table.add_row("prompt tokens", f"{found.prompt_tokens:,}", f"{whole.prompt_tokens:,.0f}")
    computed = found.prompt_tokens - found.cached_tokens
    table.add_row("… not in the prefix cache", f"{computed:,}", f"{whole.computed_tokens:,.0f}")
    table.add_row("tokens written", f"{found.completion_tokens:,}", f"{whole.completion_tokens:,.0f}")
    table.add_row("hours", "", f"{whole.hours_least:,.2f} to {whole.hours_most:,.2f}")
    if whole.cost is not None:
        table.add_row("cost", "", f"{whole.cost:,.2f}")
    table.add_row("disk, GiB", f"{found.bytes / 2**30:.4f}", f"{whole.gib:,.3f}")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(
        f"Hours: from engines as quick when full as with {found.at_once} questions at once, to engines that gain "
        f"nothing from more. The dry run's trajectories are in {folder}. next: steper generate without --dry-run"
    )
