"""Looks whether the head of the cluster answers; without one Ray ends this process, and says nothing."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from steper_ray.called import COMMAND

_LOOK_EVERY_S = 1.0
_TELL_AFTER_S = 3.0
_RAYS_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"
_RAYS_DEFAULT_S = 60.0
_SHARE = 0.9
"""Of Ray's patience: so that the last word is ours."""


class Seen(Enum):
    """What a look at the head has shown."""

    NOTHING_NEW = "nothing new"
    SILENT = "silent"
    """For long enough to say so; told once per silence."""
    BACK = "back"
    """After it was said to be silent."""
    GONE = "gone"
    """For as long as it is waited for."""


@dataclass
class HeadWatch:
    """Judges looks at the head, each with its time in seconds."""

    patience_s: float
    _silent_since: float | None = None
    _told: bool = False

    def see(self, answers: bool, now: float) -> Seen:
        """What to make of the next look."""
        if answers:
            told, self._silent_since, self._told = self._told, None, False
            return Seen.BACK if told else Seen.NOTHING_NEW
        self._silent_since = now if self._silent_since is None else self._silent_since
        silent_s = now - self._silent_since
        if silent_s >= self.patience_s:
            return Seen.GONE
        if silent_s >= _TELL_AFTER_S and not self._told:
            self._told = True
            return Seen.SILENT
        return Seen.NOTHING_NEW


def patience_s() -> float:
    """How long a silent head is waited for: a little less than Ray itself would wait."""
    return _SHARE * float(os.environ.get(_RAYS_PATIENCE, _RAYS_DEFAULT_S))


def watch_head(address: str, connected: Callable[[], bool]) -> None:
    """Watch in the background for as long as this process is connected; end it with code 1 when the head is gone.

    Args:
        address: host and port of Ray's control service.
        connected: whether this process is still connected to that cluster.
    """
    threading.Thread(
        target=_keep_watching, args=(address, connected, COMMAND.get()), name="head watch", daemon=True
    ).start()


def _keep_watching(address: str, connected: Callable[[], bool], command: str) -> None:
    watch = HeadWatch(patience_s())
    while connected():
        match watch.see(_answers(address), time.monotonic()):
            case Seen.SILENT:
                _say(f"the head of the cluster at {address} does not answer; it is waited for")
            case Seen.BACK:
                _say(f"the head of the cluster at {address} answers again")
            case Seen.GONE if connected():
                _say(
                    f"PhaseFailed: the head of the cluster at {address} has not answered for {watch.patience_s:.0f} s, "
                    "and without it nothing goes on. What is finished is kept; when there is a head again, the same "
                    f"command continues{command and ': ' + command}"
                )
                # The main thread waits inside Ray, which would leave in the same way, without a word.
                os._exit(1)
        time.sleep(_LOOK_EVERY_S)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_TELL_AFTER_S):
            return True
    except OSError:
        return False


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
