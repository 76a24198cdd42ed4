"""The command line: parse first, import the phase afterwards, so that `--help` answers at once.

Exit codes: 0 done; 1 a phase failed and can be continued; 2 bad input, nothing was started; 3 the machine or cluster
lacks something; 130 interrupted by Ctrl-C; 143 ended by SIGTERM, as `ray job stop` sends it.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from steper_ray import __version__
from steper_ray.status.command import add_status

if TYPE_CHECKING:
    from steper_ray.config import Config

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
_STOPPED = 128 + signal.SIGTERM
_REPORT = "a web page about one run, or several side by side: data, stages, σ, scores, trajectories"
_DRY_RUNS = {
    "generate": "20 questions, then what the rest would take",
    "train": "samples, tokens, updates and memory; trains nothing",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what went wrong stands in the last lines on stderr."""
    options = _options(arguments)
    from steper_ray.called import COMMAND, called

    command = called(arguments, sys.argv, os.environ)
    noted = COMMAND.set(command)
    try:
        with _unwinding():
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

    words = [f"run.folder={options.folder}"] if options.run is _demo else getattr(options, "settings", None)
    try:
        return None if words is None else load_config(*split_settings(words))
    except ConfigError:  # run folders, as `report` takes them
        return None


@contextmanager
def _unwinding() -> Iterator[None]:
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
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and (not hasattr(options, "settings") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.settings += rest
    return options


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="steper", description="StepER: step-wise distillation for multi-hop questions, on Ray."
    )
    parser.add_argument("--version", action="version", version=f"steper_ray {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
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
    _add_storage(commands)
    _add_corpus(commands)
    add_status(commands)
    _add_inspect(commands)
    _add_compare(commands)
    _add_report(commands)
    _add_ask(commands)
    _add_keys(commands)
    _add_doctor(commands)
    _add_demo(commands)
    return parser


def _entry_name(options: argparse.Namespace, phase: str) -> str:
    """The key of `_ENTRIES` that phase and flags mean."""
    flags = [flag for flag in ("dry_run", "reload") if getattr(options, flag, False)]
    return " ".join([phase, *(f"--{flag.replace('_', '-')}" for flag in flags)])


def _flags(options: argparse.Namespace, phase: str) -> list[str]:
    """The flags that were given, as overrides."""
    given = {name: getattr(options, name, None) for name in ("limit", "sample")}
    return [f"{phase}.{name}={value}" for name, value in given.items() if value is not None]


def _add_corpus(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    what = "make a corpus: split documents, or take the paragraphs of questions"
    kinds = commands.add_parser("corpus", help=what, description=what).add_subparsers(metavar="KIND", required=True)
    split = kinds.add_parser("split", help="cut documents into passages")
    split.add_argument("source", type=Path, metavar="IN", help="documents: id, title, text")
    split.add_argument("--words", type=int, default=100, help="most words of a passage (default %(default)s)")
    split.add_argument("--overlap", type=int, default=0, help="words that neighbours share (default %(default)s)")
    gather = kinds.add_parser("from-questions", help="take the paragraphs that come with questions, each once")
    gather.add_argument("sources", type=Path, nargs="+", metavar="IN", help="HotpotQA, 2WikiMultiHopQA or MuSiQue")
    for command, run in ((split, _split), (gather, _gather)):
        command.add_argument("target", type=Path, metavar="OUT", help="a name that ends with .jsonl or .parquet")
        command.add_argument("--overwrite", action="store_true", help="replace OUT")
        command.set_defaults(run=run)


def _split(options: argparse.Namespace) -> None:
    from steper_ray.corpus.split import split_corpus
    from steper_ray.data.split import Cut

    split_corpus(options.source, options.target, Cut(options.words, options.overlap), overwrite=options.overwrite)


def _gather(options: argparse.Namespace) -> None:
    from steper_ray.corpus.gather import gather_corpus

    gather_corpus(options.sources, options.target, overwrite=options.overwrite)


def _add_storage(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    what = "copy a folder (index, samples, weights) to s3:// or gs://, with checksums"
    command = commands.add_parser("publish", help=what, description=what)
    command.add_argument("folder", type=Path, metavar="FOLDER")
    command.add_argument("uri", metavar="URI")
    command.set_defaults(run=_publish)
    what = "copy a published folder here; it appears when all of it is here and right"
    command = commands.add_parser("fetch", help=what, description=what)
    command.add_argument("uri", metavar="URI")
    command.add_argument("folder", type=Path, metavar="FOLDER")
    command.set_defaults(run=_fetch)


def _publish(options: argparse.Namespace) -> None:
    from steper_ray.storage.folder import publish, tell_published

    tell_published(publish(options.folder, options.uri), options.uri)


def _fetch(options: argparse.Namespace) -> None:
    from steper_ray.storage.folder import fetch

    listing = fetch(options.uri, options.folder)
    print(f"fetched: {len(listing.files)} files, {listing.size / 2**20:,.1f} MiB, to {options.folder}")


def _add_inspect(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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


def _add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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


def _add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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


def _add_ask(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("ask", help="ask a running service one question")
    command.add_argument("question")
    command.add_argument("--url", default="http://127.0.0.1:8000", help="where the service listens")
    command.add_argument("--key-file", type=Path, metavar="FILE", help="a file with an API key of the service alone")
    command.set_defaults(run=_ask)


def _ask(options: argparse.Namespace) -> int:
    from steper_ray.serve.ask import ask

    return ask(options.question, options.url, options.key_file)


def _add_keys(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    what = "make, list and revoke the API keys of a service"
    verbs = commands.add_parser("keys", help=what, description=what).add_subparsers(metavar="VERB", required=True)
    add = verbs.add_parser("add", help="make a key; it is printed once, and the file holds only its hash")
    add.add_argument("name", metavar="NAME", help="whose key it is")
    add.add_argument("--per-minute", type=int, metavar="N", help="requests a minute (default serve.key_per_minute)")
    add.add_argument("--concurrent", type=int, metavar="N", help="open at a time (default serve.key_concurrent)")
    add.set_defaults(verb=lambda o: ("add", o.file, o.name, o.per_minute, o.concurrent))
    show = verbs.add_parser("list", help="names, dates and limits; never keys")
    show.set_defaults(verb=lambda o: ("show", o.file))
    revoke = verbs.add_parser("revoke", help="take a key out; a running service follows within two seconds")
    revoke.add_argument("name", metavar="NAME", help="as given to `add`")
    revoke.set_defaults(verb=lambda o: ("revoke", o.file, o.name))
    for command in (add, show, revoke):
        command.add_argument("--file", type=Path, required=True, metavar="F", help="the key file (serve.keys)")
        command.set_defaults(run=_keys)


def _keys(options: argparse.Namespace) -> None:
    from steper_ray.serve import keys_command

    verb, *arguments = options.verb(options)
    getattr(keys_command, verb)(*arguments)


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("doctor", help="check this machine and say what to do about each fault")
    command.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:  # noqa: ARG001
    from steper_ray.doctor import run

    return run()


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("demo", help="all phases on a bundled world with a small real model, on CPU")
    command.add_argument("--folder", type=Path, default=Path("runs/demo"), help="folder of the run")
    command.add_argument("--fresh", action="store_true", help="start over instead of continuing the folder")
    command.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> None:
    from steper_ray.demo.run import demo

    demo(options.folder, fresh=options.fresh)


if __name__ == "__main__":
    sys.exit(main())
