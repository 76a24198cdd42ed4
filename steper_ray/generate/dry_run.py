"""`steper generate --dry-run`: a few questions through the real path, and what the rest would take."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

from steper_ray.config import Config
from steper_ray.data.questions import QuestionSet
from steper_ray.data.schemas import TRAJECTORIES, part_files, read_rows
from steper_ray.drive.ledger import check_texts, read_ledger
from steper_ray.drive.load import most_in_flight
from steper_ray.generate.asked import question_set, tell_asked
from steper_ray.generate.estimate import Estimate, Rates, Sampled, estimate
from steper_ray.generate.run import generate
from steper_ray.sections.model import ModelSection

QUESTIONS = 20
FOLDER = ".dry-run"
"""A run folder of its own inside of generate's; hidden, so that it is neither read nor published as a part of it."""


def dry_run(config: Config) -> None:
    """Drive a random few of the questions in a folder of its own, and print what the whole would take.

    All questions are read and checked before the first one costs anything.

    Raises:
        UserError, PhaseFailed: as `generate`.
    """
    section = config.generate
    asked = question_set(config)
    keys = _keys_left(config, asked)
    tell_asked(config, asked)
    if keys == 0:
        print("dry run: nothing is left to be done, so nothing was tried")
        return
    folder = config.folder("generate") / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    few = _few(asked, config.run.seed)
    counts = generate(_config_in(folder, config), few, quiet=True).counts
    in_flight = section.in_flight or most_in_flight(config.teacher.max_batch)
    at_once = in_flight * (section.actors_max or section.actors)
    found = _sampled(folder / "generate", min(len(few.questions) * section.paths, at_once))
    _tell(found, counts["failed"], estimate(found, keys, at_once, _rates(config.teacher)), config, folder)


def _few(asked: QuestionSet, seed: int) -> QuestionSet:
    """Some of the questions at random, in their order."""
    count = len(asked.questions)
    chosen = sorted(random.Random(seed).sample(range(count), min(QUESTIONS, count)))
    return replace(asked, questions=tuple(asked.questions[number] for number in chosen))


def _config_in(folder: Path, config: Config) -> Config:
    """The same settings in another run folder, with nothing published."""
    changes: dict[str, dict[str, object]] = {
        "run": {"folder": folder},
        "index": {"folder": config.folder("index")},
        "generate": {"folder": None, "uri": None},
        "samples": {"folder": None, "uri": None},
    }
    return config.model_copy(
        update={name: getattr(config, name).model_copy(update=values) for name, values in changes.items()}
    )


def _keys_left(config: Config, asked: QuestionSet) -> int:
    """(question, path) that the whole run would still have to do; refuses what it would refuse."""
    folder, section = config.folder("generate"), config.generate
    ledger = read_ledger(folder / "trajectories", folder / "failures")
    check_texts(ledger, asked.questions, section.paths, folder)
    return len(ledger.left(asked.questions, section.paths, retry_permanent=section.retry_permanent))


def _sampled(folder: Path, at_once: int) -> Sampled:
    rows = list(read_rows(folder / "trajectories", TRAJECTORIES))
    steps = [step for row in rows for step in row["steps"]]
    files = [*part_files(folder / "trajectories"), *part_files(folder / "samples")]
    judged = [row["correct"] for row in rows if row["correct"] is not None]
    return Sampled(
        trajectories=len(rows),
        correct=sum(judged) if judged else None,
        prompt_tokens=sum(step["prompt_tokens"] for step in steps),
        cached_tokens=sum(step["cached_tokens"] for step in steps),
        completion_tokens=sum(step["completion_tokens"] for step in steps),
        calls=len(steps),
        seconds=sum(step["seconds"] + step["search_seconds"] for step in steps),
        bytes=sum(file.stat().st_size for file in files),
        at_once=at_once,
    )


def _rates(teacher: ModelSection) -> Rates:
    """Limits are an endpoint's; prices may be given for an engine of ours too."""
    remote = teacher.backend == "openai"
    limits = (teacher.requests_per_minute, teacher.tokens_per_minute) if remote else (None, None)
    return Rates(teacher.price_in, teacher.price_out, *limits)


def _tell(found: Sampled, failed: dict[str, int], whole: Estimate, config: Config, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    correct = "no gold answers" if found.correct is None else f"{found.correct} correct"
    failures = "".join(f", {count} failed ({kind})" for kind, count in sorted(failed.items()))
    table = Table()
    table.add_column("")
    table.add_column("dry run", justify="right")
    table.add_column(f"the {whole.keys:,} still to be done", justify="right")
    table.add_row("prompt tokens", f"{found.prompt_tokens:,}", f"{whole.prompt_tokens:,.0f}")
    computed = found.prompt_tokens - found.cached_tokens
    table.add_row("… not in the prefix cache", f"{computed:,}", f"{whole.computed_tokens:,.0f}")
    table.add_row("tokens written", f"{found.completion_tokens:,}", f"{whole.completion_tokens:,.0f}")
    hours = (f"{whole.hours_least:,.2f}", f"{whole.hours_most:,.2f}")
    table.add_row("hours", "", " to ".join(dict.fromkeys(hours)))
    if whole.hours_limits:
        table.add_row("… by the endpoint's limits alone", "", f"{whole.hours_limits:,.2f}")
    spent = _rates(config.teacher).cost(found.prompt_tokens, found.completion_tokens)
    if spent is not None and whole.cost is not None:
        table.add_row("cost", f"{spent:,.2f}", f"{whole.cost:,.2f}")
    elif config.teacher.backend == "openai":
        table.add_row("cost", "", "set teacher.price_in, price_out")
    table.add_row("disk, GiB", f"{found.bytes / 2**30:.4f}", f"{whole.gib:,.3f}")
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"dry run: {found.trajectories} trajectories, {correct}{failures}")
    console.print(table)
    console.print(
        f"Hours: from engines as quick when full as with {found.at_once} questions at once, to engines that gain "
        f"nothing from more. The dry run's trajectories: steper inspect {folder}. next: steper generate without "
        "--dry-run"
    )
