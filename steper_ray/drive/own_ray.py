"""Looks whether the Ray that was started here lives; without it this process would wait for ever, or end mute."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steper_ray.called import COMMAND

_LOOK_EVERY_S = 0.5
_VITAL = ("gcs_server", "raylet")
"""Of Ray's processes on a node; it goes on without the others."""
_LINES = 5


def watch_own_ray(node: Any, connected: Callable[[], bool]) -> None:
    """Watch in the background while this process is connected; end it with code 1 when a vital process is gone.

    Args:
        node: Ray's own object for the node that it started here.
        connected: whether this process is still connected to that Ray.
    """
    threading.Thread(
        target=_keep_watching, args=(node, connected, COMMAND.get()), name="own Ray watch", daemon=True
    ).start()


def _keep_watching(node: Any, connected: Callable[[], bool], command: str) -> None:
    logs, before = Path(node.get_logs_dir_path()), None
    while connected():
        dead = _dead(node)
        # One that Ray ended itself is taken off its list within a moment.
        if dead and dead == before:
            print(_obituary(*dead, logs, command), file=sys.stderr, flush=True)
            # The main thread waits inside Ray for what will not come.
            os._exit(1)
        before = dead
        time.sleep(_LOOK_EVERY_S)


def _dead(node: Any) -> tuple[str, int] | None:
    """Name and exit code of a vital process that is no more."""
    for name in _VITAL:
        for started in node.all_processes.get(name, ()):
            if (code := started.process.poll()) is not None:
                return name, code
    return None


def _obituary(name: str, code: int, logs: Path, command: str) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    said = [f"  {line}" for kind in ("out", "err") for line in _last_lines(logs / f"{name}.{kind}")]
    why = " (the system ends processes so when memory is short)" if -code == signal.SIGKILL else ""
    return "\n".join(
        [
            f"PhaseFailed: Ray's process {name} on this machine {how}{why}, and without it nothing goes on. What is "
            f"finished is kept; the same command continues{command and ': ' + command}",
            *said,
            f"details: {logs} (logs of Ray's processes on this node)",
        ]
    )


def _last_lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()[-_LINES:]
    except OSError:
        return []
