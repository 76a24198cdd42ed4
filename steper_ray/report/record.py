"""Everything that a run left for its report, read from its folders; what is not there is left empty."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.config import Config
from steper_ray.curves.history import METRICS_FILE, History, read_history
from steper_ray.errors import InputError, RunFolderError
from steper_ray.runs import CONFIG_FILE, MANIFEST_FILE

Values = Mapping[str, Any]
SCORES_FILE = "scores.json"
_SHOWN = {"questions", "exact_match", "f1", "accuracy_substring", "accuracy_tokens"}
"""Of the quality of an evaluation."""


@dataclass(frozen=True)
class EvaluationRecord:
    """One evaluation."""

    name: str
    """Of its folder."""
    folder: Path
    scores: Values

    @property
    def label(self) -> str:
        """What tables call it: the folder's name, and how the model was asked where that is not the loop."""
        system = self.scores.get("system", "multi_step")
        told = "" if system == "multi_step" or system in self.name else f" ({system})"
        return f"{self.name}{told}"


@dataclass(frozen=True)
class RunRecord:
    """One run."""

    name: str
    folder: Path
    generation: Values
    """Counts of the manifest of `generate`."""
    recall: Sequence[Values]
    """Of the teacher's retrieval by step, from stats.json."""
    samples: Values
    """Counts of the samples' manifest."""
    training: Values
    """Counts of the training's manifest."""
    tokens: Path | None
    """Arrow file of the tokenised units."""
    history: History | None
    evaluations: Sequence[EvaluationRecord]
    """That of the run first, others by name."""
    manifests: Mapping[str, Values]
    """By phase."""
    ablation: Values
    """ablation.json, where the run has one."""
    settings: Mapping[str, Values]
    """Resolved configuration by phase."""


def read_run(config: Config, name: str | None = None) -> RunRecord:
    """Read a run.

    Raises:
        RunFolderError: nothing that a report could tell of is there.
        InputError: a file is broken; names it.
    """
    generate, train = config.folder("generate"), config.folder("train")
    # In a training's own folder samples may come from elsewhere; its configuration says from where.
    samples = _samples_folder(config, train)
    manifests = {
        phase: found
        for phase, folder in (("generate", generate), ("samples", samples), ("train", train))
        if (found := read_json(folder / MANIFEST_FILE))
    }
    evaluations = _evaluations(config)
    history = read_history(train) if (train / METRICS_FILE).is_file() else None
    if history is None and not manifests and not evaluations:
        read_history(train)  # says what to run
        raise RunFolderError(f"nothing to report on in {config.run.folder}")
    manifests |= {one.name: found for one in evaluations if (found := read_json(one.folder / MANIFEST_FILE))}
    settings = {
        phase: found
        for phase, folder in (
            ("generate", generate),
            ("train", train),
            *((one.name, one.folder) for one in evaluations),
        )
        if (found := read_json(folder / CONFIG_FILE))
    }
    return RunRecord(
        name=name or config.run.folder.name,
        folder=config.run.folder,
        generation=_counts(manifests, "generate"),
        recall=read_json(generate / "stats.json").get("all", {}).get("recall_by_step", []),
        samples=_counts(manifests, "samples"),
        training=_counts(manifests, "train"),
        tokens=_newest(train / "tokens"),
        history=history,
        evaluations=evaluations,
        manifests=manifests,
        ablation=read_json(config.folder("ablate") / "ablation.json"),
        settings=settings,
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none.

    Raises:
        InputError: not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=path) from None
    if not isinstance(values, dict):
        raise InputError("must be a JSON object", file=path, found=type(values).__name__)
    return values


def _samples_folder(config: Config, train: Path) -> Path:
    if config.train.samples is None and not (config.folder("samples") / MANIFEST_FILE).is_file():
        told = read_json(train / CONFIG_FILE).get("train", {}).get("samples")
        if told:
            return Path(told)
    return config.train.samples or config.folder("samples")


def _evaluations(config: Config) -> list[EvaluationRecord]:
    """The run's own, and every other folder of it that holds scores; what no evaluation wrote is left out."""
    own = config.folder("evaluate")
    others = sorted(path.parent for path in config.run.folder.glob(f"*/{SCORES_FILE}"))
    found = []
    for folder in dict.fromkeys([own, *others]):
        scores = read_json(folder / SCORES_FILE)
        if scores and not _is_of_evaluation(scores):
            print(f"warning: {folder / SCORES_FILE} is left out: no scores as `steper evaluate` writes them")
        elif scores:
            found.append(EvaluationRecord(folder.name, folder, scores))
    return found


def _is_of_evaluation(scores: Values) -> bool:
    """Whether they name a model and have what every table shows; intervals and counts differ between versions."""
    quality = scores.get("quality")
    return "model" in scores and isinstance(quality, dict) and quality.keys() >= _SHOWN


def _counts(manifests: Mapping[str, Values], phase: str) -> Values:
    counts: Values = manifests.get(phase, {}).get("counts", {})
    return counts


def _newest(folder: Path) -> Path | None:
    return max(folder.glob("*.arrow"), key=lambda path: path.stat().st_mtime, default=None)
