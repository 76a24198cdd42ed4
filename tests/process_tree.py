"""A program in a process of its own, and all that it starts; for tests that kill."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psutil


@contextmanager
def running(*arguments: str, stderr: int) -> "Iterator[subprocess.Popen[str]]":
    """Python with these arguments, ended with all its processes when the block ends."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, "RAY_worker_niceness": "0"},
    )
    try:
        yield process
    finally:
        for left in family(process.pid):
            left.kill()
        process.kill()
        process.wait()


def titled(processes: Iterable[psutil.Process], title: str) -> list[psutil.Process]:
    """Those whose title or command line begins so."""
    found = []
    for process in processes:
        try:
            if process.name().startswith(title) or " ".join(process.cmdline()).startswith(title):
                found.append(process)
        except psutil.Error:  # it has just ended
            continue
    return found


def family(pid: int) -> list[psutil.Process]:
    """All living descendants; none where the process itself is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
