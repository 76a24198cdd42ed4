"""`steper report`: pictures and words about a training run, and the evaluation's scores where there are some."""

import json
from pathlib import Path
from typing import Any

from steper_ray.config import Config
from steper_ray.curves.history import History, read_history
from steper_ray.report.page import page
from steper_ray.report.words import counted, judge, verdict
from steper_ray.runs import Manifest, open_folder, write_manifest, write_text

SIGMAS_FILE = "sigmas.png"
LOSSES_FILE = "losses.png"
PAGE_FILE = "report.md"


def report(config: Config) -> list[Path]:
    """Write sigmas.png, losses.png and report.md into the report folder; returns their paths.

    Raises:
        RunFolderError: no training to report on, or the folder cannot be written.
        InputError: a line of metrics.jsonl is broken.
    """
    from steper_ray.report.pictures import draw_losses, draw_sigmas

    history = read_history(config.folder("train"))
    scores = _scores(config.folder("evaluate") / "scores.json")
    folder = open_folder(config.folder("report"), config)
    sentences = verdict(history)
    draw_sigmas(history, " ".join(sentences[:2]), folder / SIGMAS_FILE)
    draw_losses(history, _losses_line(history), folder / LOSSES_FILE)
    write_text(folder / PAGE_FILE, page(history, sentences, scores, [SIGMAS_FILE, LOSSES_FILE]))
    counts = {"updates": len(history.updates), "held_out_evaluations": len(history.held_out)}
    facts = {"final_sigmas": {term: end.sigma for term, end in judge(history).items()}, "verdict": sentences}
    write_manifest(folder, Manifest("report", "", counts, facts))
    paths = [folder / name for name in (PAGE_FILE, SIGMAS_FILE, LOSSES_FILE)]
    for sentence in sentences:
        print(sentence)
    print(f"report: {counted(len(history.updates), 'update')} in {', '.join(map(str, paths))}")
    return paths


def _scores(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return scores


def _losses_line(history: History) -> str:
    held_out = counted(len(history.held_out), "held-out evaluation")
    return f"{counted(len(history.updates), 'update')}, {held_out}; thin lines are single updates."
