"""What an ablation leaves: its tables on the terminal, as Markdown and as JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from steper_ray.config import Config
from steper_ray.core.types import STAGE_TERMS
from steper_ray.curves.history import History, read_history
from steper_ray.evaluate.evaluated import SCORES_FILE, Evaluated, read_evaluated
from steper_ray.evaluate.scores import StageScore
from steper_ray.evaluate.table import markdown, rich_table
from steper_ray.experiments.against import Against, against_references, resolution, uneven
from steper_ray.experiments.configs import evaluation_folder, training_folder
from steper_ray.experiments.members import Row, Training
from steper_ray.experiments.outcome import Course, Outcome, Sigma, failed_notes, finished_rows, outcome_of
from steper_ray.experiments.plan import Ablation, epochs_of
from steper_ray.experiments.tables import ablation_json, ablation_tables
from steper_ray.report.words import is_learned, judge
from steper_ray.runs import Manifest, write_json, write_manifest, write_text
from steper_ray.train.journal import read_journal, seconds_of, updates_of

PAGE_FILE, NUMBERS_FILE = "ablation.md", "ablation.json"


def write_outcomes(
    config: Config, plan: Ablation, unfinished: Mapping[str, str], known: Sequence[str] = ()
) -> list[Outcome]:
    """Sum up what the members left, print the tables and write them; nothing is written while no row is finished.

    Args:
        config: the ablation's.
        plan: its rows.
        unfinished: why members are not finished, by name.
        known: notes from before the training, in sentences without full stop.

    Raises:
        RunFolderError: an evaluation is not there, or not of the same questions as the others.
    """
    from rich.console import Console

    folder, seed = config.folder("ablate"), config.run.seed
    rows = finished_rows(plan.rows, set(unfinished))
    if not rows:
        print(f"ablate: none of {len(plan.rows)} rows is finished")
        return []
    evaluated = [(row, _evaluations(config, row)) for row in rows]
    outcomes = [_outcome(config, plan, row, found, seed) for row, found in evaluated]
    against = against_references(evaluated, plan.references, seed)
    notes = [*known, *uneven(outcomes, plan.references), *failed_notes(evaluated)]
    tables = ablation_tables(outcomes, against)
    further = [*(f"Warning: {note}." for note in notes), *(f"{name}: {why}" for name, why in unfinished.items())]
    about = _about(config, outcomes, against, further)
    write_text(folder / PAGE_FILE, markdown("Ablation", about, tables))
    page = {"about": about, "tables": [asdict(table) for table in tables]}
    write_json(folder / NUMBERS_FILE, {**ablation_json(outcomes, against, plan.references, unfinished, notes), **page})
    counts = {"rows": len(plan.rows), "finished": len(rows), "failed": len(plan.rows) - len(rows)}
    write_manifest(folder, Manifest("ablate", "", counts, {"failed": dict(unfinished)}))
    console = Console(highlight=False, soft_wrap=True)
    for table in tables:
        console.print(rich_table(table))
    for note in notes:
        print(f"warning: {note}")
    print(f"ablate: {len(rows)} of {len(plan.rows)} rows; table in {folder / PAGE_FILE}")
    return outcomes


def _outcome(config: Config, plan: Ablation, row: Row, found: Sequence[Evaluated], seed: int) -> Outcome:
    size = plan.sizes.get(row.member)
    courses = [_course(config, plan, training) for training in row.trainings]
    stages = [_stages(one.folder) for one in found]
    return outcome_of(row, found, size.units if size else 0, courses, stages, seed)


def _about(config: Config, outcomes: Sequence[Outcome], against: Sequence[Against], notes: Sequence[str]) -> list[str]:
    """What a reader must know to judge the tables, as paragraphs."""
    seeds, train = config.ablate.seeds, config.train
    told = [
        f"Start: `{train.model.name if train.model else ''}`; batch {train.batch}, learning rate "
        f"{train.learning_rate:g}; {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}. Updates and "
        "target tokens are those of the journals; epochs say how often each of the member's units was seen "
        "(samples, in `turns` whole trajectories).",
        f"Intervals and p-values are over the {outcomes[0].questions:,} questions, for these trained weights: what "
        + (
            "another seed would give, one seed does not say." if len(seeds) == 1 else "a seed changes, its table shows."
        ),
    ]
    if half := resolution(against):
        families = Counter(str(found.reference) for found in against)
        named = ", ".join(f"{number} with {name}" for name, number in families.items())
        told.append(
            f"Differences in EM are known to ± {100 * half:.0f} points or better: smaller ones may be chance. They are "
            f"taken within a form; p (Holm) is for its comparisons in one score ({named})."
        )
    return [line for paragraph in (*told, *notes) for line in (paragraph, "")][:-1]


def _evaluations(config: Config, row: Row) -> list[Evaluated]:
    trainings: Sequence[Training | None] = row.trainings or (None,)
    return [read_evaluated(evaluation_folder(config, row.member, training, row.system)) for training in trainings]


def _course(config: Config, plan: Ablation, training: Training) -> Course:
    folder = training_folder(config, training) / "train"
    lines = updates_of(read_journal(folder))
    return Course(
        updates=len(lines),
        epochs=epochs_of(config, plan.sizes[training.member], len(lines)),
        target_tokens=sum(line["target_tokens"] for line in lines),
        training_seconds=sum(seconds_of(lines)),
        sigmas=_sigmas(read_history(folder)),
    )


def _sigmas(history: History) -> dict[str, Sigma]:
    if not is_learned(history):
        return {}
    ends = judge(history)
    return {
        stage.value: Sigma(ends[term].sigma, ends[term].rest) for stage, term in STAGE_TERMS.items() if term in ends
    }


def _stages(folder: Path) -> dict[str, StageScore]:
    values = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8")).get("stages", {})
    return {name: StageScore(**value) for name, value in values.items()}
