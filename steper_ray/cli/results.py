"""`steper inspect`, `steper compare` and `steper score`: a look at what phases, or others, wrote."""

import argparse
from pathlib import Path


def add_inspect(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `inspect`."""
    what = "show trajectories, failures and why each was kept or dropped"
    command = commands.add_parser("inspect", help=what, description=what)
    command.add_argument("folder", type=Path, metavar="RUN", help="a run folder, or that of generate or evaluate")
    command.add_argument("--question", metavar="ID", help="all paths of this question, step by step")
    command.add_argument("--only", choices=("kept", "dropped", "failed", "wrong"), help="these alone, step by step")
    command.add_argument("--limit", type=int, default=3, help="how many to show (of each outcome)")
    command.set_defaults(run=_inspect)


def _inspect(options: argparse.Namespace) -> None:
    from steper_ray.errors import ConfigError
    from steper_ray.look.findings import Only
    from steper_ray.look.run import inspect

    if options.limit < 1:
        raise ConfigError(f"--limit must be at least 1, found {options.limit}")
    inspect(options.folder, options.question, Only(options.only) if options.only else None, options.limit)


def add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `compare`."""
    what = "compare two evaluations of the same questions: differences, intervals, p-values"
    command = commands.add_parser("compare", help=what, description=what)
    for name in ("A", "B"):
        command.add_argument(f"run_{name.lower()}", type=Path, metavar=f"RUN_{name}", help="a run or evaluation folder")
    command.add_argument("--out", type=Path, metavar="FILE", help="the Markdown page (default: comparison.md in RUN_B)")
    command.add_argument("--seed", type=int, default=0, help="of the bootstrap (default %(default)s)")
    command.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> None:
    from steper_ray.evaluate.compare import compare_runs

    compare_runs(options.run_a, options.run_b, options.out, seed=options.seed)


def add_score(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `score`."""
    what = "score a file of predictions (HotpotQA's, 2WikiMultiHopQA's, MuSiQue's form, or ours) against a gold file"
    command = commands.add_parser("score", help=what, description=what)
    command.add_argument("predictions", type=Path, metavar="PREDICTIONS")
    command.add_argument("gold", type=Path, metavar="GOLD", help="the questions with their gold answers")
    command.add_argument("--aliases", type=Path, metavar="FILE", help="2WikiMultiHopQA's id_aliases.json")
    command.add_argument(
        "--missing",
        choices=("refuse", "wrong", "leave-out"),
        default="refuse",
        help="questions without a prediction: refuse them, score them 0, or score the others alone",
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="a Markdown page of the tables")
    command.add_argument("--seed", type=int, default=0, help="of the bootstrap (default %(default)s)")
    command.set_defaults(run=_score)


def _score(options: argparse.Namespace) -> None:
    from steper_ray.evaluate.rescore import Missing, score_file

    score_file(
        options.predictions,
        options.gold,
        aliases=options.aliases,
        missing=Missing(options.missing),
        out=options.out,
        seed=options.seed,
    )
