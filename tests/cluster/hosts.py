"""Namespaces as the hosts of a cluster: each with an address, a name, processes, shared memory and a disk of its own.

They hang on one switch, and see the same files as this machine: the storage that they share.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.cluster.namespaces import Namespaces
from tests.cluster.shipped import RAY, ROOT, shipped_env
from tests.process_tree import family, titled
from tests.waiting import wait_until

HEAD, ONE, TWO = NAMES = ("head", "one", "two")
ADDRESSES = {name: f"10.77.0.{number}" for number, name in enumerate(NAMES, start=1)}
CLUSTER = f"{ADDRESSES[HEAD]}:6379"
STORE = 100_000_000
NODES_PROGRAM = Path(__file__).with_name("nodes_program.py")


@dataclass
class Hosts:
    """A head and two workers; `folder` is on the storage they share. Ends with `close`."""

    folder: Path
    cpus: int
    """Logical CPUs of a worker; the head offers none."""
    up: dict[str, Namespaces] = field(default_factory=dict)
    _watchers: list["Program"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self._env = {
            **shipped_env(self.folder),
            "PYTHONPATH": str(ROOT),
            # Sockets lie below it: a short path. Each host mounts a disk of its own there.
            "RAY_TMPDIR": tempfile.mkdtemp(prefix="steper-"),
        }
        names = "".join(f"{address} {name}\n" for name, address in ADDRESSES.items())
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        self._switch = Namespaces.make()
        self._switch.run("ip", "link", "add", "name", "switch", "type", "bridge")
        self._switch.run("ip", "link", "set", "switch", "up")

    def boot(self, name: str) -> None:
        """Switch a host on; Ray starts with it."""
        self.up[name] = host = Namespaces.make(inside=self._switch)
        # Named by process id, hence from outside of its process namespace.
        enter = ["nsenter", f"--target={self._switch.first}", "--net", "--"]
        cable = ["ip", "link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", str(host.first)]
        subprocess.run([*enter, *cable], check=True)
        self._switch.run("ip", "link", "set", name, "master", "switch", "up")
        lines = (
            f"hostname {name}",
            "ip link set lo up",
            f"ip address add {ADDRESSES[name]}/24 dev eth0",
            "ip link set eth0 up",
            f"mount --bind {self.folder}/hosts /etc/hosts",
            "mount -t tmpfs shm /dev/shm",
            f"mount -t tmpfs disk {self._env['RAY_TMPDIR']}",
        )
        host.run("sh", "-ec", "\n".join(lines))
        self.start_ray(name)

    def start_ray(self, name: str) -> None:
        """A worker starts Ray again whenever it ends, as `cluster/slurm.sh` does; the head does not."""
        options = ["--block", "--num-gpus=0", f"--object-store-memory={STORE}", "--disable-usage-stats"]
        options.append(f"--node-ip-address={ADDRESSES[name]}")
        if name == HEAD:
            self.start(HEAD, RAY, "start", "--head", "--num-cpus=0", "--include-dashboard=false", *options)
            return
        command = " ".join([RAY, "start", f"--address={CLUSTER}", f"--num-cpus={self.cpus}", *options])
        self.start(name, "sh", "-c", f"while :; do {command}; sleep 1; done")

    def start(self, name: str, *command: str, log: str = "ray.log") -> "subprocess.Popen[str]":
        """Start a command on a host; what it prints goes into a file of `folder` that begins with the host's name."""
        with (self.folder / f"{name}-{log}").open("a") as out:
            return self.up[name].start(*command, env=self._env, stdout=out, stderr=subprocess.STDOUT)

    def python(self, *words: str, log: str) -> "Program":
        """Start a Python on the head."""
        return Program(self.start(HEAD, sys.executable, "-u", *words, log=log), self.folder / f"{HEAD}-{log}")

    def steper(self, *words: str, log: str) -> "Program":
        """Start a command of ours on the head."""
        return self.python("-m", "steper_ray.cli", *words, f"ray.address={CLUSTER}", log=log)

    def await_nodes(self, *names: str) -> None:
        """Wait until these hosts and no others are in the cluster."""
        wanted = sorted(ADDRESSES[name] for name in names)
        wait_until(lambda: self._nodes() == wanted, every_s=0.2)

    def _nodes(self) -> list[str]:
        if not self._watchers or self._watchers[-1].process.poll() is not None:
            log = f"nodes-{len(self._watchers)}.log"
            self._watchers.append(self.python(str(NODES_PROGRAM), CLUSTER, log=log))
        # Lines of Ray's own begin with a bracket too, and a date.
        lines = [line for line in self._watchers[-1].printed().splitlines() if line.startswith(('["', "[]"))]
        return json.loads(lines[-1]) if lines else []

    def kill_head(self) -> None:
        """End Ray's control service on the head, and with it, within a second, the head's other processes of Ray."""
        for process in self.processes(HEAD, "gcs_server"):
            process.kill()
        self._watchers[-1].kill()

    def cut(self, name: str) -> None:
        """Pull the cable out."""
        self._switch.run("ip", "link", "set", name, "down")

    def mend(self, name: str) -> None:
        """Put the cable in again."""
        self._switch.run("ip", "link", "set", name, "up")

    def lose(self, name: str) -> None:
        """Cut the power: nobody is told, and everything on it is gone."""
        self._switch.run("ip", "link", "delete", name)
        self.up.pop(name).end()

    def processes(self, name: str, title: str) -> list[psutil.Process]:
        """Those of a host whose title or command begins so."""
        return titled(self.up[name].processes(), title)

    def close(self) -> None:
        """Switch everything off."""
        for host in [*self.up.values(), self._switch]:
            host.end()
        Path(self._env["RAY_TMPDIR"]).rmdir()


@dataclass(frozen=True)
class Program:
    """One that runs on a host."""

    process: "subprocess.Popen[str]"
    log: Path

    def kill(self) -> None:
        """As the operating system would, without a word."""
        for one in family(self.process.pid):
            one.kill()
        self.process.wait()

    def terminate(self) -> None:
        """As whoever asks it to end."""
        family(self.process.pid)[0].terminate()

    def printed(self) -> str:
        """What it said so far."""
        return self.log.read_text()
