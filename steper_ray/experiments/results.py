"""What an ablation leaves: its tables on the terminal, as Markdown and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from steper_ray.config import Config
from steper_ray.evaluate.evaluated import SCORES_FILE, Evaluated, read_evaluated
from steper_ray.evaluate.scores import StageScore
from steper_ray.evaluate.table import markdown, rich_table
from steper_ray.experiments.configs import evaluation_folder, training_folder
from steper_ray.experiments.contaminated import contamination_notes
from steper_ray.experiments.members import Row, Training
from steper_ray.experiments.outcome import Against, Outcome, against_reference, finished_rows, outcome_of
from steper_ray.experiments.plan import Ablation
from steper_ray.experiments.tables import ablation_json, ablation_tables
from steper_ray.runs import Manifest, write_json, write_manifest, write_text
from steper_ray.train.journal import read_journal, updates_of

PAGE_FILE, NUMBERS_FILE = "ablation.md", "ablation.json"


def write_outcomes(config: Config, plan: Ablation, failed: dict[str, str]) -> list[Outcome]:
    """Sum up what the members left, print the tables and write them.

    Args:
        config: the ablation's.
        plan: its rows.
        failed: why members could not be finished, by name.

    Raises:
        RunFolderError: no member could be finished, or an evaluation is not there.
    """
    from rich.console import Console

    folder, seed = config.folder("ablate"), config.run.seed
    rows = finished_rows(plan.rows, set(failed))
    evaluated = [(row, _evaluations(config, row)) for row in rows]
    outcomes = [
        outcome_of(row, found, _target_tokens(config, row), [_stages(one.folder) for one in found], seed)
        for row, found in evaluated
    ]
    against = against_reference(evaluated, plan.reference, seed)
    tables = ablation_tables(outcomes, against, plan.reference)
    about = _about(config, plan, against, failed)
    write_text(folder / PAGE_FILE, markdown("Ablation", about, tables))
    page = {"about": about, "tables": [asdict(table) for table in tables]}
    write_json(folder / NUMBERS_FILE, {**ablation_json(outcomes, against, plan.reference, failed), **page})
    counts = {"rows": len(plan.rows), "finished": len(rows), "failed": len(plan.rows) - len(rows)}
    write_manifest(folder, Manifest("ablate", "", counts, {"failed": failed}))
    console = Console(highlight=False, soft_wrap=True)
    for table in tables:
        console.print(rich_table(table))
    print(f"ablate: {len(rows)} of {len(plan.rows)} rows; table in {folder / PAGE_FILE}")
    return outcomes


def _about(config: Config, plan: Ablation, against: Sequence[Against], failed: dict[str, str]) -> list[str]:
    lines = [
        f"Start: `{config.train.model.name if config.train.model else ''}`; batch {config.train.batch}, learning rate "
        f"{config.train.learning_rate:g}; seeds {', '.join(map(str, config.ablate.seeds))}. Intervals are over "
        "questions; the scores of single seeds stand beside them.",
        "",
        f"Differences are {plan.reference} less the other; p after Holm holds for all {len(against)} comparisons.",
    ]
    for note in contamination_notes(config, sorted({row.member.form for row in plan.rows})):
        lines += ["", f"Warning: {note}."]
    return lines + [line for name, why in failed.items() for line in ("", f"Failed: {name}: {why}")]


def _evaluations(config: Config, row: Row) -> list[Evaluated]:
    trainings: Sequence[Training | None] = row.trainings or (None,)
    return [read_evaluated(evaluation_folder(config, row.member, training, row.system)) for training in trainings]


def _target_tokens(config: Config, row: Row) -> list[int]:
    return [
        sum(line["target_tokens"] for line in updates_of(read_journal(training_folder(config, training) / "train")))
        for training in row.trainings
    ]


def _stages(folder: Path) -> dict[str, StageScore]:
    values = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8")).get("stages", {})
    return {name: StageScore(**value) for name, value in values.items()}
