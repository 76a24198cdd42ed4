"""A folder that appears whole or not at all: written beside its place, then renamed."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steper_ray.errors import RunFolderError


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty hidden folder beside `folder`, which takes its place when the block ends well and is removed otherwise.

    Raises:
        RunFolderError: the folder cannot be made or replaced.
    """
    place = folder.resolve()
    owner = f".{place.name}.{socket.gethostname()}-"
    staging = place.with_name(f"{owner}{os.getpid()}.building")
    _sweep(place, owner)
    try:
        with _refused(folder):
            staging.mkdir(parents=True)
        yield staging
        with _refused(folder):
            _replace(place, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(place: Path, staging: Path) -> None:
    if not place.exists():
        staging.rename(place)
        return
    aside = staging.with_suffix(".replaced")
    place.rename(aside)
    try:
        staging.rename(place)
    except BaseException:
        aside.rename(place)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sweep(place: Path, owner: str) -> None:
    """Remove what processes of this machine left behind when they were killed."""
    for left in place.parent.glob(f"{owner}*.building"):
        pid = left.name.removeprefix(owner).partition(".")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunFolderError(f"cannot write {folder}: {error.strerror or error}. Name another folder") from None
