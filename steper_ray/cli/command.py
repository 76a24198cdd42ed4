"""One command from its words to its exit code."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from steper_ray.cli.machine import run_demo
from steper_ray.cli.parser import make_parser
from steper_ray.cli.phases import split_settings

if TYPE_CHECKING:
    from steper_ray.config import Config

_STOPPED = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what went wrong stands in the last lines on stderr."""
    options = _options(arguments)
    from steper_ray.called import COMMAND, called

    command = called(arguments, sys.argv, os.environ)
    noted = COMMAND.set(command)
    try:
        with unwinding():
            return int(options.run(options) or 0)
    except KeyboardInterrupt:
        print(f"interrupted; the same command continues: {command}", file=sys.stderr)
        return 130
    except SystemExit as ended:
        if ended.code != signal.SIGTERM:
            raise
        print(f"stopped; the same command continues: {command}", file=sys.stderr)
        return _STOPPED
    except Exception as error:
        return _failed(error, options, command)
    finally:
        COMMAND.reset(noted)


def _failed(error: Exception, options: argparse.Namespace, command: str) -> int:
    """Say why a command failed: a user's error in one line, a phase's with where to look and how to continue."""
    from steper_ray.errors import SteperError, UserError
    from steper_ray.postmortem import cause_of, examine

    config = None if isinstance(error, UserError) else _configured(options)
    if config is None and not isinstance(error, SteperError):
        raise error
    print(examine(error, config, command).text() if config else cause_of(error), file=sys.stderr)
    return error.exit_code if isinstance(error, SteperError) else 1


def _configured(options: argparse.Namespace) -> "Config | None":
    """The configuration of a command that runs phases; None of any other."""
    from steper_ray.config import load_config
    from steper_ray.errors import ConfigError

    words = [f"run.folder={options.folder}"] if options.run is run_demo else getattr(options, "settings", None)
    try:
        return None if words is None else load_config(*split_settings(words))
    except ConfigError:  # run folders, as `report` takes them
        return None


@contextmanager
def unwinding() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that waiting rows are written and children end; Ray's handler does the same."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(number)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not the main thread: whoever called has handlers of its own
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command; settings may stand before and behind flags, which argparse alone does not take."""
    parser = make_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and (not hasattr(options, "settings") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.settings += rest
    return options
