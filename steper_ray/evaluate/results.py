"""What an evaluation leaves in its folder, and what it says on the terminal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from steper_ray.drive.collect import Collection
from steper_ray.drive.unfinished import incomplete
from steper_ray.evaluate.evaluated import PREDICTIONS_FILE, SCORES_FILE
from steper_ray.evaluate.prediction import Prediction, prediction_row
from steper_ray.evaluate.scores import Scores
from steper_ray.evaluate.table import markdown, rich_table, score_tables
from steper_ray.runs import write_json, write_text

PAGE_FILE = "scores.md"


def write_results(
    folder: Path,
    into: Collection,
    predictions: Sequence[Prediction],
    scores: Scores,
    notes: Sequence[str],
    asked: Mapping[str, str],
) -> None:
    """Write predictions, scores and their page.

    Args:
        folder: of the evaluation.
        into: names model and fingerprint.
        predictions: one per question.
        scores: of these.
        notes: sentences without full stop.
        asked: how the model was asked: role, system, strategy.
    """
    lines = (json.dumps(prediction_row(prediction), ensure_ascii=False) + "\n" for prediction in predictions)
    write_text(folder / PREDICTIONS_FILE, "".join(lines))
    head = {"model": into.model_name, **asked, "fingerprint": into.fingerprint}
    write_json(folder / SCORES_FILE, {**head, **asdict(scores), "notes": list(notes)})
    about = [
        f"{asked['role'].capitalize()}: `{into.model_name}`, {asked['system']}, {asked['strategy']}. A question that "
        f"failed scores 0. All questions: `{PREDICTIONS_FILE}`."
    ]
    about += [line for note in notes for line in ("", note[:1].upper() + note[1:] + ".")]
    write_text(folder / PAGE_FILE, markdown("Evaluation", about, score_tables(scores)))


def tell(folder: Path, into: Collection, scores: Scores, numbers: Mapping[str, Any]) -> None:
    """Print the tables and what to do next; `numbers` are the counts of `drive.collect`."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for table in score_tables(scores):
        console.print(rich_table(table))
    quality = scores.quality
    print(
        f"evaluate: {into.model_name}: EM {quality.exact_match:.1%}, F1 {quality.f1:.1%}, Acc "
        f"{quality.accuracy_tokens:.1%} of {quality.questions} questions, {sum(scores.failed.values())} failed; "
        f"scores in {folder / PAGE_FILE}, answers in {folder / PREDICTIONS_FILE}"
    )
    print(incomplete(numbers) or "next: steper report, or steper serve")
