"""One writer per folder: a second driver on the same run would do everything twice."""

import fcntl
import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from steper_ray.errors import RunFolderError

logger = logging.getLogger(__name__)

LOCK_FILE = ".lock"
_PROBE_S = 1.0
"""`holder_of` holds the lock for an instant; who wants to write asks again for so long."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that writes into a folder, or did so last."""

    host: str
    pid: int
    since: float
    """Seconds since the epoch."""
    alive: bool | None
    """Whether it still holds the lock; None where the file system knows no locks."""


def holder_of(folder: Path) -> Holder | None:
    """Who writes into a folder, or did so last; None where nobody ever did."""
    try:
        with (folder / LOCK_FILE).open(encoding="utf-8") as file:
            said = re.match(r"process (\d+) on (\S+)", file.read())
            since = os.fstat(file.fileno()).st_mtime
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                alive: bool | None = False
            except BlockingIOError:
                alive = True
            except OSError:
                alive = None
    except OSError:
        return None
    return Holder(said.group(2), int(said.group(1)), since, alive) if said else None


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Make the folder and hold its lock; the operating system frees it when this process ends, however it ends.

    A file system without locks (Lustre or NFS as many clusters mount them) gets a warning instead of a refusal.

    Raises:
        RunFolderError: another process holds it, or the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK_FILE).touch()
    except OSError as error:
        raise RunFolderError(f"cannot write to {folder}: {error.strerror}") from None
    with (folder / LOCK_FILE).open("a+") as file:
        try:
            _take(file)
        except BlockingIOError:
            file.seek(0)
            raise RunFolderError(
                f"another process writes into {folder} ({file.read().strip() or 'unknown'}); wait for it, or end it"
            ) from None
        except OSError as error:
            logger.warning(
                "%s is on a file system without locks (%s); see to it that no other process writes there",
                folder,
                error.strerror,
            )
        _sign(file, folder)
        yield


def _sign(file: IO[str], folder: Path) -> None:
    """Unbuffered: what a full disk does not take would be tried again when the file is closed."""
    try:
        file.truncate(0)
        os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    except OSError as error:
        raise RunFolderError(f"cannot write to {folder}: {error.strerror}") from None


def _take(file: IO[str]) -> None:
    patience = time.monotonic() + _PROBE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.05)
