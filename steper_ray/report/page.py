"""report.md: the words, the pictures, and the numbers behind both."""

from collections.abc import Mapping, Sequence
from typing import Any

from steper_ray.curves.history import STAGE_NAMES, History
from steper_ray.data.contamination import told_contamination
from steper_ray.report.words import is_learned, judge


def page(history: History, sentences: Sequence[str], scores: Mapping[str, Any] | None, pictures: Sequence[str]) -> str:
    """The Markdown page.

    Args:
        history: the training.
        sentences: the verdict.
        scores: contents of the evaluation's scores.json, if there was one.
        pictures: file names beside the page.
    """
    blocks = ["# Training report", " ".join(sentences), *(f"![{name}]({name})" for name in pictures)]
    blocks += ["## Stages", _stage_table(history)]
    if scores is not None:
        blocks += ["## Evaluation", _score_table(scores)]
    return "\n\n".join(blocks) + "\n"


def _stage_table(history: History) -> str:
    """Gap, drift and convergence are left empty where σ was held."""
    lines = [
        "| stage | final σ | √L, last third | gap | drift of σ | converged | held-out loss, nats | token accuracy |",
        "|---|---:|---:|---:|---:|---|---:|---:|",
    ]
    learned = is_learned(history)
    for term, end in judge(history).items():
        rest = [f"{end.gap:+.1%}", f"{end.drift:+.1%}", "yes" if end.reached else "no"] if learned else [" "] * 3
        losses = [f"{point.losses[term]:.4f}" for point in history.held_out if term in point.losses]
        accuracies = [f"{point.accuracies[term]:.1%}" for point in history.held_out if term in point.accuracies]
        last = [(values or [" "])[-1] for values in (losses, accuracies)]
        lines.append(f"| {' | '.join([STAGE_NAMES[term], f'{end.sigma:.3f}', f'{end.rest:.3f}', *rest, *last])} |")
    return "\n".join(lines)


def _score_table(scores: Mapping[str, Any]) -> str:
    quality = scores["quality"]
    rows = [
        ("EM", quality["exact_match"], scores["exact_match_interval"]),
        ("F1", quality["f1"], scores["f1_interval"]),
        ("Acc (substring)", quality["accuracy_substring"], scores.get("accuracy_substring_interval")),
        ("Acc (whole tokens)", quality["accuracy_tokens"], scores.get("accuracy_tokens_interval")),
    ]
    lines = [f"`{scores['model']}` over {quality['questions']:,} questions.", ""]
    lines += ["| measure | value; scores in % | 95 % interval |", "|---|---:|---:|"]
    for name, value, between in rows:
        shown = f"{100 * between['low']:.1f} to {100 * between['high']:.1f}" if between else " "
        lines.append(f"| {name} | {100 * value:.1f} | {shown} |")
    if (tokens := quality.get("tokens")) is not None:
        lines.append(f"| tokens per question | {tokens:,.0f} |   |")
    if (seconds := scores.get("cost", {}).get("seconds")) is not None:
        lines.append(f"| seconds of completions per question | {seconds:.2f} |   |")
    if warning := told_contamination(scores):
        lines += ["", f"Warning: {warning}."]
    return "\n".join(lines)
