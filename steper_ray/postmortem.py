"""What is said when a phase fails: the cause, the files with the details, and the command to continue.

The same is kept, with the traceback, in `postmortem/` of the run folder, where `steper status` finds it.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from steper_ray import __version__
from steper_ray.config import Config
from steper_ray.errors import EnvironmentFault, SteperError

FOLDER = "postmortem"
"""In the run folder."""
_ROOMS = ("index", "generate", "train", "evaluate", "serve", "report")
"""Packages of the phases; making samples is part of generate's."""
_FILES = {
    "generate": (("failures", " (steper inspect {folder} --only failed)"),),
    "evaluate": (("failures", " (steper inspect {folder} --only failed)"),),
    "train": (("metrics.jsonl", ""), ("checkpoints", "")),
}
"""What a phase leaves behind that tells more, in its folder."""


@dataclass(frozen=True, slots=True)
class Postmortem:
    """What is known of a failure."""

    cause: str
    """One line."""
    phase: str
    """Whose code raised it; empty where it was none's."""
    details: tuple[str, ...]
    """Files and folders, perhaps with the command that shows them."""
    command: str
    """That continues."""

    def text(self) -> str:
        """The last lines on the terminal."""
        details = [f"details: {' · '.join(self.details)}"] if self.details else []
        return "\n".join([self.cause, *details, f"continue: {self.command}"])


def examine(error: Exception, config: Config, command: str, environment: Mapping[str, str] = os.environ) -> Postmortem:
    """Find out what can be told of an error that ended a phase; keeps its traceback in the run folder.

    Where the machine lacks something nothing has begun, so nothing is kept.
    """
    phase = phase_of(error)
    cause = cause_of(error)
    if isinstance(error, EnvironmentFault):
        return Postmortem(cause, phase, (), command)
    details = [_keep(error, cause, phase, config.run.folder, command), *_left_by(phase, config), *_logs(environment)]
    return Postmortem(cause, phase, tuple(filter(None, details)), command)


def cause_of(error: BaseException) -> str:
    """One line about an error; of one that nobody foresaw with the place in our code that it came through last."""
    words = " ".join(str(error).split()) if isinstance(error, SteperError) else _last_line(str(error))
    if isinstance(error, SteperError):
        return f"{type(error).__name__}: {words}"
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if _module(frame.filename)]
    place = f" ({_module(ours[-1].filename)}, line {ours[-1].lineno})" if ours else ""
    return f"{type(error).__name__}: {words}{place}"


def phase_of(error: BaseException) -> str:
    """The phase whose room the error came through last; empty where it came through none."""
    modules = [_module(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    rooms = [module.split("/")[1] for module in modules if module.count("/") > 1]
    return next((room for room in reversed(rooms) if room in _ROOMS), "")


def last_cause(run: Path, since: float = 0.0) -> str:
    """The cause of the last failure in a run folder after a time, seconds since the epoch; empty without one."""
    files = [path for path in sorted((run / FOLDER).glob("*.txt")) if path.stat().st_mtime >= since]
    return files[-1].read_text(encoding="utf-8").split("\n", 1)[0] if files else ""


def _module(filename: str) -> str:
    """`steper_ray/train/run.py` of one of our files; empty of any other."""
    parts = Path(filename).parts
    return "/".join(parts[len(parts) - 1 - parts[::-1].index("steper_ray") :]) if "steper_ray" in parts else ""


def _last_line(text: str) -> str:
    """Ray's errors carry a traceback; what was raised stands in their last line."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")


def _keep(error: Exception, cause: str, phase: str, run: Path, command: str) -> str:
    """The path of the new file; where none can be written the traceback goes to the terminal instead."""
    trace = "".join(traceback.format_exception(error))
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = run / FOLDER / f"{moment}-{phase or 'run'}-{os.getpid()}.txt"
    head = [cause, f"phase: {phase or 'none'}", f"continue: {command}", f"steper_ray {__version__}, {sys.version}"]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*head, "", trace]), encoding="utf-8")
    except OSError:
        with suppress(OSError):
            path.unlink(missing_ok=True)  # on a full disk an empty one stays
        print(trace, file=sys.stderr)
        return ""
    return str(path)


def _left_by(phase: str, config: Config) -> list[str]:
    folder = config.folder(phase) if phase else config.run.folder  # type: ignore[arg-type]
    named = [(folder / name, hint.format(folder=folder)) for name, hint in _FILES.get(phase, ())]
    return [f"{path}{hint}" for path, hint in named if path.is_file() or (path.is_dir() and any(path.iterdir()))]


def _logs(environment: Mapping[str, str]) -> list[str]:
    """Where Ray's processes wrote, if it runs, and the log of the job that this is."""
    found = []
    if (ray := sys.modules.get("ray")) and ray.is_initialized():
        node = ray._private.worker._global_node
        found += [f"{node.get_logs_dir_path()} (logs of Ray's processes on this node)"] if node else []
    try:
        job = json.loads(environment["RAY_JOB_CONFIG_JSON_ENV_VAR"])["metadata"]["job_submission_id"]
    except (KeyError, ValueError, TypeError):
        return found
    return [*found, f"ray job logs {job}"]
