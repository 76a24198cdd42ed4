"""One writer per folder: a second driver on the same run would do everything twice."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steper_ray.errors import RunFolderError

logger = logging.getLogger(__name__)

LOCK_FILE = ".lock"


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
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
