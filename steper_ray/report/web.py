"""report.html: one self-contained page about one run or several side by side; asks no network and runs no script."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steper_ray import __version__
from steper_ray.core.types import STAGE_TERMS
from steper_ray.curves.canvas import COLOURS
from steper_ray.curves.history import STAGE_NAMES
from steper_ray.report.ablated import ablation_part
from steper_ray.report.chosen import Examples
from steper_ray.report.funnel import funnel
from steper_ray.report.html import Markup, bar, element, escape, folded, join, picture, preformatted, table
from steper_ray.report.lengths import Lengths
from steper_ray.report.record import RunRecord
from steper_ray.report.scored import group_tables, recall_rows, recall_table, score_table, stage_table, warnings
from steper_ray.report.told import tell_trajectory
from steper_ray.report.words import verdict, weights_in_words

STYLE = Path(__file__).with_name("page.css")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

RunPart = Callable[[RunRecord], Markup]


def web_page(
    runs: Sequence[RunRecord],
    pictures: Mapping[str, Mapping[str, Path]],
    examples: Mapping[str, Examples | None],
    lengths: Mapping[str, Lengths | None],
) -> str:
    """The page.

    Args:
        runs: side by side where there are several; their names differ.
        pictures: by run's name: `sigmas`, `losses`; under an empty name those of all: `recall`.
        examples: trajectories to show, by run's name.
        lengths: by run's name.
    """
    told = [run for run in runs if (found := examples.get(run.name)) and (found.worst or found.typical)]
    parts: list[tuple[str, str, Markup | None]] = [
        ("funnel", "From questions to samples", _beside(runs, _funnel, lambda run: bool(funnel(run)))),
        ("stages", "Stages and lengths", _stages(runs, lengths)),
        ("difficulty", "Difficulty of the stages", _beside(runs, lambda run: _difficulty(run, pictures), _has_history)),
        ("tokens", "Loss and token accuracy per stage", stage_table(runs)),
        ("scores", "Scores", _scores(runs)),
        ("ablation", "Ablation", _beside(runs, ablation_part, lambda run: bool(run.ablation))),
        ("recall", "Gold passages retrieved", _recall(runs, pictures)),
        ("examples", "Trajectories", _beside(told, lambda run: _examples(run, examples), bool)),
        ("settings", "Settings and fingerprints", _beside(runs, _settings, lambda run: bool(run.manifests))),
    ]
    there = [(name, title, part) for name, title, part in parts if part is not None]
    links = element("nav", *(element("a", title, href=f"#{name}") for name, title, _ in there))
    sections = [element("section", element("h2", title), part, id=name) for name, title, part in there]
    title = "Report: " + ", ".join(run.name for run in runs)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    foot = element("footer", element("p", f"steper_ray {__version__}, written {now}", class_="quiet"))
    body = element("body", element("h1", title), links, element("main", *sections), foot)
    one = ' class="one"' if len(runs) == 1 else ""
    return f'<!doctype html>\n<html lang="en"{one}>{_head(title)}{body.text}</html>\n'


def _head(title: str) -> str:
    style = STYLE.read_text(encoding="utf-8")
    return (
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
    )


def _beside(runs: Sequence[RunRecord], part: RunPart, has: Callable[[RunRecord], bool]) -> Markup | None:
    """The part of each run that has it, side by side where the page is wide enough."""
    found = [run for run in runs if has(run)]
    if not found:
        return None
    shown = [element("section", element("h3", run.name, class_="run"), part(run)) for run in found]
    return element("div", *shown, class_="runs")


def _has_history(run: RunRecord) -> bool:
    return run.history is not None


def _funnel(run: RunRecord) -> Markup:
    levels = funnel(run)
    parts = []
    # A bar is a share of the widest level of the same noun: questions and trajectories, then samples.
    most: dict[str, int] = {}
    for level in levels:
        kind = "samples" if "samples" in level.name else "trajectories"
        most[kind] = max(most.get(kind, 0), level.all)
        share = level.left / most[kind] if most[kind] else 0.0
        losses = [element("div", f"− {number:,} {reason}", class_="loss") for reason, number in level.losses.items()]
        head = element("div", element("b", f"{level.left:,}"), Markup(" "), level.name)
        parts.append(element("div", head, bar(share), *losses, class_="level"))
    return join(parts)


def _stages(runs: Sequence[RunRecord], lengths: Mapping[str, Lengths | None]) -> Markup | None:
    """A training may have its samples from elsewhere: lengths then stand alone."""

    def both(run: RunRecord) -> Markup:
        found = lengths.get(run.name)
        return join([*([_balance(run)] if run.samples else []), *([_lengths_table(found)] if found else [])])

    return _beside(runs, both, lambda run: bool(run.samples or lengths.get(run.name)))


def _balance(run: RunRecord) -> Markup:
    stages: Mapping[str, int] = run.samples.get("stages", {})
    total = sum(stages.values()) or 1
    parts = []
    for stage, term in STAGE_TERMS.items():
        number = int(stages.get(stage.value, 0))
        text = f"{STAGE_NAMES[term]}: {number:,} samples, {number / total:.1%}"
        parts.append(element("div", text, bar(number / total, COLOURS[term]), class_="level"))
    return join(parts)


def _lengths_table(lengths: Lengths) -> Markup:
    spreads = {"whole units": lengths.units}
    spreads |= {f"targets, {STAGE_NAMES[term]}": found for term, found in lengths.targets.items()}
    rows = [
        [name, *(f"{value:,}" for value in (one.count, one.median, one.high, one.most))]
        for name, one in spreads.items()
    ]
    return table(["tokens", "number", "median", "90 %", "most"], rows, "Lengths in tokens")


def _difficulty(run: RunRecord, pictures: Mapping[str, Mapping[str, Path]]) -> Markup:
    assert run.history is not None
    words = [element("p", sentence) for sentence in [*verdict(run.history), weights_in_words(run.history)]]
    shown = pictures[run.name]
    return join(
        [
            *words,
            picture(shown["sigmas"], "σ of each stage over updates, with √L beside it"),
            picture(shown["losses"], "loss of each stage over updates"),
        ]
    )


def _scores(runs: Sequence[RunRecord]) -> Markup | None:
    if not any(run.evaluations for run in runs):
        return None
    note = (
        "Below the figures: intervals of 95 % over questions. Acc: the gold answer stands in the answer, anywhere "
        "(substring) or as whole tokens."
    )
    groups = _beside(runs, lambda run: join(group_tables(run)), lambda run: bool(group_tables(run)))
    told = [element("p", warning, class_="warning") for warning in warnings(runs)]
    return join([score_table(runs), *told, element("p", note, class_="quiet"), *([groups] if groups else [])])


def _recall(runs: Sequence[RunRecord], pictures: Mapping[str, Mapping[str, Path]]) -> Markup | None:
    if not recall_rows(runs):
        return None
    shown = pictures.get("", {}).get("recall")
    note = (
        "any: at least one gold passage of a question is among those retrieved up to this step; all: every one; "
        "fraction: their share."
    )
    drawn = [picture(shown, "share of questions with all gold passages retrieved, by step")] if shown else []
    return join([*drawn, recall_table(runs), element("p", note, class_="quiet")])


def _examples(run: RunRecord, examples: Mapping[str, Examples | None]) -> Markup:
    chosen = examples[run.name]
    assert chosen is not None
    of = run.evaluations[0].label
    parts: list[Markup] = []
    for title, what, found in (
        ("worst", "wrong answers, the lowest F1 and then the most tokens first", chosen.worst),
        ("typical", "nearest to the median of steps and tokens, right and wrong as often as in all", chosen.typical),
    ):
        if not found:
            continue
        parts.append(element("h3", f"The {len(found)} {'most ' if title == 'typical' else ''}{title} of {of}"))
        parts.append(element("p", f"{what[:1].upper()}{what[1:]}.", class_="quiet"))
        parts += [tell_trajectory(shown) for shown in found]
    return join(parts)


def _settings(run: RunRecord) -> Markup:
    rows = [
        [phase, found.get("fingerprint") or "none", found.get("version", ""), found.get("written", "")]
        for phase, found in run.manifests.items()
    ]
    parts = [table(["phase", "fingerprint", "steper_ray", "written"], rows)]
    for phase, values in run.settings.items():
        lines = settings_that_differ(values)
        told = f"{phase}: settings that are not the default ({len(lines)})"
        parts.append(folded(told, preformatted("\n".join(lines) or "none")))
    return join(parts)


def settings_that_differ(values: Mapping[str, Any]) -> list[str]:
    """`section.key=value` of a resolved configuration where it is not the default."""
    from steper_ray.config import Config

    usual = Config().model_dump(mode="json")
    return [
        f"{section}.{key}={value}"
        for section, found in values.items()
        if isinstance(found, dict)
        for key, value in found.items()
        if value != usual.get(section, {}).get(key)
    ]
