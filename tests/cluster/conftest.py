"""A Ray head of its own, in token mode as what we ship, and jobs submitted to it as a user submits them."""

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.namespaces import why_not
from tests.cluster.shipped import RAY, ROOT, shipped_env

PATIENCE_S = 180


@dataclass(frozen=True)
class Head:
    """A running head and the environment of those who may talk to it."""

    dashboard: str
    address: str
    env: dict[str, str]

    def submit(self, phase: str, *words: str) -> str:
        """`ray job submit` without waiting; returns the submission id."""
        command = [RAY, "job", "submit", "--address", self.dashboard, "--no-wait", "--working-dir", str(ROOT), "--"]
        done = self._run([*command, "python", f"jobs/{phase}.py", *words])
        found = re.search(r"Job '(\S+)' submitted successfully", done.stdout)
        assert found, done.stdout + done.stderr
        return found[1]

    def stop(self, job: str) -> None:
        """`ray job stop`; comes back when the job has ended."""
        self._run([RAY, "job", "stop", "--address", self.dashboard, job])

    def info(self, job: str) -> dict[str, Any]:
        """What the job API says about a job."""
        import httpx

        token = {"Authorization": f"Bearer {Path(self.env['RAY_AUTH_TOKEN_PATH']).read_text()}"}
        answer = httpx.get(f"{self.dashboard}/api/jobs/{job}", headers=token, timeout=30)
        values: dict[str, Any] = json.loads(answer.text)
        return values

    def log(self, job: str) -> str:
        """What the job has printed."""
        return self._run([RAY, "job", "logs", "--address", self.dashboard, job]).stdout

    def run(self, phase: str, *words: str) -> int:
        """Submit and wait for the end; returns the exit code of the driver."""
        return self.wait(self.submit(phase, *words))

    def wait(self, job: str) -> int:
        """Wait for the end of a job; returns the exit code of its driver."""
        patience = time.monotonic() + PATIENCE_S
        while (info := self.info(job))["status"] not in ("SUCCEEDED", "FAILED", "STOPPED"):
            assert time.monotonic() < patience, self.log(job)
            time.sleep(0.3)
        code = info["driver_exit_code"]
        assert isinstance(code, int), info
        return code

    def _run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, capture_output=True, text=True, env=self.env, timeout=PATIENCE_S)


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skips where namespaces cannot be made."""
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """A head with eight logical CPUs and no GPU; whoever calls it without the token is refused."""
    home = tmp_path_factory.mktemp("h")
    gcs, dashboard, agent, client = _free_ports(4)
    env = {
        **shipped_env(home),
        # Sockets lie below it: a short path.
        "RAY_TMPDIR": tempfile.mkdtemp(prefix="steper-"),
        "PYTHONPATH": "",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [RAY, "start", "--head", "--block", "--num-cpus=8", "--num-gpus=0", "--dashboard-host=127.0.0.1"]
    ports = {"port": gcs, "dashboard-port": dashboard, "dashboard-agent-listen-port": agent}
    ports["ray-client-server-port"] = client
    more = ["--object-store-memory=200000000", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
    log = (home / "head.log").open("w")
    started = [*command, *(f"--{name}={port}" for name, port in ports.items()), *more]
    process = subprocess.Popen(started, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{dashboard}/api/version", process, home / "head.log")
        yield Head(f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{gcs}", env)
    finally:
        # Ray's own reaper ends the other processes of the head when this one is gone.
        process.kill()
        process.wait()
        log.close()
        shutil.rmtree(env["RAY_TMPDIR"], ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    import httpx

    patience = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < patience, log.read_text()
        try:
            if httpx.get(url, timeout=5).status_code in (200, 401, 403):
                return
        except httpx.TransportError:
            time.sleep(0.3)
