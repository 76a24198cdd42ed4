"""`steper doctor` and `steper demo`: what a newcomer runs on one machine."""

import argparse
from pathlib import Path


def add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `doctor`."""
    command = commands.add_parser("doctor", help="check this machine and say what to do about each fault")
    command.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:  # noqa: ARG001
    from steper_ray.doctor import run

    return run()


def add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `demo`."""
    command = commands.add_parser("demo", help="all phases on a bundled world with a small real model, on CPU")
    command.add_argument("--folder", type=Path, default=Path("runs/demo"), help="folder of the run")
    command.add_argument("--fresh", action="store_true", help="start over instead of continuing the folder")
    command.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> None:
    """The demo; its folder takes the place of a configuration."""
    from steper_ray.demo.run import demo

    demo(options.folder, fresh=options.fresh)
