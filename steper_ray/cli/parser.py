"""All sub-commands, in the order in which `--help` shows them."""

import argparse

from steper_ray import __version__
from steper_ray.cli.corpus import add_corpus
from steper_ray.cli.machine import add_demo, add_doctor
from steper_ray.cli.phases import add_phases, add_report
from steper_ray.cli.results import add_compare, add_inspect, add_score
from steper_ray.cli.service import add_ask, add_keys
from steper_ray.cli.storage import add_storage
from steper_ray.status.command import add_status


def make_parser() -> argparse.ArgumentParser:
    """The parser; it knows the commands and imports none of what they run."""
    parser = argparse.ArgumentParser(
        prog="steper", description="StepER: step-wise distillation for multi-hop questions, on Ray."
    )
    parser.add_argument("--version", action="version", version=f"steper_ray {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_phases(commands)
    add_storage(commands)
    add_corpus(commands)
    add_status(commands)
    add_inspect(commands)
    add_compare(commands)
    add_score(commands)
    add_report(commands)
    add_ask(commands)
    add_keys(commands)
    add_doctor(commands)
    add_demo(commands)
    return parser
