"""The phases, each with `[CONFIG.yaml] [section.key=value ...]`; imported when they run."""

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

_PHASES = {
    "index": "build the BM25 index of a corpus",
    "generate": "drive the teacher over questions; write trajectories and samples",
    "samples": "make samples again from trajectories, with other rules or in another form; no teacher runs",
    "train": "train the student on samples with the StepER loss; export weights",
    "evaluate": "drive the student over held-out questions; write scores",
    "serve": "put the student behind an HTTP endpoint",
    "pipeline": "index, generate, samples, train, evaluate and report in order; what is finished is skipped",
    "ablate": "train and evaluate the methods on the same trajectories; the table of their differences",
}
_ENTRIES = {
    "index": ("steper_ray.index.run", "build"),
    "generate": ("steper_ray.generate.run", "generate"),
    "generate --dry-run": ("steper_ray.generate.dry_run", "dry_run"),
    "samples": ("steper_ray.generate.samples", "samples"),
    "train": ("steper_ray.train.run", "train"),
    "train --dry-run": ("steper_ray.train.dry_run", "dry_run"),
    "evaluate": ("steper_ray.evaluate.run", "evaluate"),
    "serve": ("steper_ray.serve.run", "serve"),
    "serve --reload": ("steper_ray.serve.reload", "reload"),
    "ablate": ("steper_ray.experiments.ablate", "ablate"),
    "report": ("steper_ray.report.run", "report"),
    "pipeline": ("steper_ray.pipeline.run", "pipeline"),
}
_REPORT = "a web page about one run, or several side by side: data, stages, σ, scores, trajectories"
_DRY_RUNS = {
    "generate": "20 questions, then what the rest would take",
    "train": "samples, tokens, updates and memory; trains nothing",
}


def add_phases(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add all but the report, which takes run folders too."""
    for phase, what in _PHASES.items():
        command = commands.add_parser(phase, help=what, description=what)
        command.add_argument(
            "settings", nargs="*", metavar="SETTING", help="a YAML file, then overrides: section.key=value"
        )
        if phase in ("generate", "evaluate"):
            command.add_argument("--limit", type=int, metavar="N", help=f"same as {phase}.limit=N")
            command.add_argument("--sample", type=int, metavar="SEED", help=f"same as {phase}.sample=SEED")
        if phase in _DRY_RUNS:
            command.add_argument("--dry-run", action="store_true", help=_DRY_RUNS[phase])
        if phase == "serve":
            command.add_argument(
                "--reload", action="store_true", help="replace a running service's weights or settings"
            )
        command.set_defaults(
            run=lambda options, phase=phase: run_phase(
                _entry_name(options, phase), [*options.settings, *_flags(options, phase)]
            )
        )


def add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `report`."""
    command = commands.add_parser("report", help=_REPORT, description=_REPORT)
    command.add_argument(
        "settings", nargs="*", metavar="RUN", help="run folders; or a YAML file and overrides: section.key=value"
    )
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where it is written (default: report in RUN)")
    command.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from steper_ray.errors import ConfigError

    runs = [Path(word) for word in options.settings if "=" not in word and not word.endswith((".yaml", ".yml"))]
    if not runs:
        if options.out:
            raise ConfigError("--out goes with run folders; with a configuration the report lies under run.folder")
        run_phase("report", options.settings)
        return
    if len(runs) < len(options.settings):
        raise ConfigError("name either run folders, or one configuration file and overrides")
    from steper_ray.report.run import report_runs

    report_runs(runs, options.out)


def run_phase(phase: str, settings: Sequence[str]) -> None:
    """Run a phase with `[CONFIG.yaml] [section.key=value ...]`, as the command line and `jobs/` do."""
    from steper_ray.config import load_config

    source, overrides = split_settings(settings)
    config = load_config(source, overrides)
    _entry(phase)(config)


def split_settings(settings: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Tell the configuration file from the overrides.

    Raises:
        ConfigError: more than one file.
    """
    from steper_ray.errors import ConfigError

    files = [word for word in settings if "=" not in word]
    if len(files) > 1:
        raise ConfigError(f"one configuration file at most, found {', '.join(files)}; overrides are section.key=value")
    return (Path(files[0]) if files else None), [word for word in settings if "=" in word]


def _entry(phase: str) -> Callable[..., object]:
    module, name = _ENTRIES[phase]
    entry: Callable[..., object] = getattr(import_module(module), name)
    return entry


def _entry_name(options: argparse.Namespace, phase: str) -> str:
    """The key of `_ENTRIES` that phase and flags mean."""
    flags = [flag for flag in ("dry_run", "reload") if getattr(options, flag, False)]
    return " ".join([phase, *(f"--{flag.replace('_', '-')}" for flag in flags)])


def _flags(options: argparse.Namespace, phase: str) -> list[str]:
    """The flags that were given, as overrides."""
    given = {name: getattr(options, name, None) for name in ("limit", "sample")}
    return [f"{phase}.{name}={value}" for name, value in given.items() if value is not None]
