"""Linux namespaces: processes, network and mounts of their own for what is started in them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

UNSHARE = ("unshare", "--pid", "--net", "--mount", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc")
# Takes in whatever loses its parent there, and leaves with whoever holds its standard input.
_FIRST = "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print('up', flush=True); sys.stdin.read()"


def why_not() -> str:
    """What keeps namespaces from being made here, or nothing."""
    for command, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        if not shutil.which(command):
            return f"{command} ({package}) is not installed"
    trial = "ip link set lo up && ip link add name trial type bridge && mount -t tmpfs trial /dev/shm"
    tried = subprocess.run([*UNSHARE, "sh", "-c", trial], capture_output=True, text=True)
    return f"namespaces are not permitted here: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(frozen=True)
class Namespaces:
    """A set of namespaces, held by the first process in it; with that one everything in it ends."""

    first: int
    """Its process id, as seen from outside."""
    holder: "subprocess.Popen[str]"

    @staticmethod
    def make(inside: "Namespaces | None" = None) -> "Namespaces":
        """A new set; one inside another ends with that."""
        enter = inside.enter() if inside else []
        command = [*enter, *UNSHARE, sys.executable, "-c", _FIRST]
        pipe = subprocess.PIPE
        holder = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n", holder.communicate()
        return Namespaces(psutil.Process(holder.pid).children(recursive=True)[-1].pid, holder)

    def enter(self) -> list[str]:
        """What stands in front of a command that shall run in it."""
        return ["nsenter", f"--target={self.first}", "--mount", "--uts", "--ipc", "--net", "--pid", "--"]

    def run(self, *command: str) -> None:
        """Run a command in it to its end."""
        subprocess.run([*self.enter(), *command], check=True)

    def start(self, *command: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a command in it; what is returned stands outside and ends with it, with the same code."""
        return subprocess.Popen([*self.enter(), *command], text=True, **options)

    def processes(self) -> Iterator[psutil.Process]:
        """All that run in it, those of sets inside it left out."""
        mine = _kind(self.first)
        for process in psutil.process_iter():
            if _kind(process.pid) == mine:
                yield process

    def end(self) -> None:
        """End everything in it at once."""
        psutil.Process(self.first).kill()
        self.holder.communicate()


def _kind(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""
