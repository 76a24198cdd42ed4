"""The parent's side of the building process: start it, show its progress, and turn its end into an error or none."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from steper_ray.errors import EnvironmentFault, PhaseFailed, UserError
from steper_ray.sections.shared import IndexSection

_WORKER = "steper_ray.index.worker"
_FAULTS: dict[str, type[Exception]] = {"environment": EnvironmentFault, "user": UserError, "phase": PhaseFailed}


def index_in_child(corpus: Path, folder: Path, section: IndexSection) -> None:
    """Build an index in a process of its own, since the JVM cannot live beside torch; ends it on every error here.

    Raises:
        UserError, EnvironmentFault, PhaseFailed: the child's own, or PhaseFailed when it died without a word.
    """
    order: dict[str, Any] = {"corpus": str(corpus), "folder": str(folder), "k1": section.k1, "b": section.b}
    order |= {"language": section.language, "passage_words": section.passage_words}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        # A session of its own: Ctrl-C reaches this process, which then ends the child and cleans up.
        child = subprocess.Popen(
            [sys.executable, "-m", _WORKER, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
            text=True,
            start_new_session=True,
        )
        try:
            assert child.stdout is not None
            indexed, fault = _follow(child.stdout)
            code = child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            if child.stdout is not None:
                child.stdout.close()
        if fault is not None:
            raise fault
        if code != 0:
            errors.seek(0)
            raise PhaseFailed(_death(code, indexed, errors.read()))


def _follow(lines: IO[str]) -> tuple[int, Exception | None]:
    """Read messages until the child closes its end; the number of passages indexed and its fault, if it told one."""
    indexed, fault = 0, None
    columns = (SpinnerColumn(), TextColumn("indexing"), _Passages(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("indexing", total=None)
        for line in lines:
            message = _message(line)
            if "indexed" in message:
                indexed = message["indexed"]
                progress.update(task, completed=indexed)
            for name in _FAULTS.keys() & message.keys():
                fault = _FAULTS[name](*message[name])
    return indexed, fault


class _Passages(ProgressColumn):
    """Passages so far and per second."""

    def render(self, task: Task) -> Text:
        rate = task.completed / task.elapsed if task.elapsed else 0.0
        return Text(f"{task.completed:,.0f} passages, {rate:,.0f}/s")


def _message(line: str) -> dict[str, Any]:
    """Empty for a line that is not ours: a dying JVM writes to stdout too."""
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _environment() -> dict[str, str]:
    """The child finds this package wherever the parent did, installed or not."""
    package = str(Path(__file__).parents[2])
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([package, others] if others else [package])}


def _death(code: int, indexed: int, errors: str) -> str:
    if code < 0:
        cause = f"was killed by {signal.Signals(-code).name}"
        cause += " (memory may have run out)" if code == -signal.SIGKILL else ""
    else:
        last = errors.strip().splitlines()[-1:] or ["no message"]
        cause = f"ended with code {code}: {last[0]}"
    return f"the indexing process {cause} after {indexed:,} passages. Nothing was kept; run `steper index` again"
