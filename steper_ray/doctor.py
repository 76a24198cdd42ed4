"""`steper doctor`: what this machine has and lacks, each fault with its remedy."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from steper_ray.backends.jvm import find_java
from steper_ray.errors import EnvironmentFault

CHILD_SECONDS = 180
"""Longest time of one import in a child process; a cold disk is slow."""
GIB = 2**30
MEMORY_GIB = 12
DISK_GIB = 10
_REINSTALL = "Install again: uv pip install -e '.[cpu]' (or '.[gpu]')"


class Status(StrEnum):
    """How a check ended; a warning does not keep the phases from running."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    found: str
    remedy: str = ""


def run() -> int:
    """Print all checks; 3, the exit code of an environment fault, when one failed, else 0."""
    table = Table("check", "", "found", "what to do", box=None, pad_edge=False)
    styles = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red"}
    console = Console(highlight=False)
    faults = 0
    with console.status("looking"):
        for check in (check() for check in CHECKS):
            faults += check.status is Status.FAIL
            status = Text(check.status, style=styles[check.status])
            table.add_row(Text(check.name), status, Text(check.found), Text(check.remedy))
    console.print(table)
    return EnvironmentFault.exit_code if faults else 0


def python() -> Check:
    """The version that runs this, and the environment it belongs to."""
    return Check("Python", Status.OK, f"{sys.version.split()[0]} in {sys.prefix}")


def java() -> Check:
    """The JVM, started in a child process, with one class of Lucene loaded."""
    try:
        home = find_java()
    except EnvironmentFault as fault:
        return Check("Java", Status.FAIL, fault.what, fault.remedy)
    code = (
        "from steper_ray.backends.jvm import java_class, start_jvm; java = start_jvm(); "
        "print(java.version, 'Lucene', java_class('org.apache.lucene.util.Version').LATEST.toString())"
    )
    remedy = "Unset JAVA_HOME" if home.origin == "JAVA_HOME" else _REINSTALL
    return _from_child("Java", code, lambda found: _java_found(found, home.origin, home.note), remedy)


def _java_found(found: str, origin: str, note: str) -> Check:
    version, _, lucene = found.partition(" ")
    return Check("Java", Status.WARN if note else Status.OK, f"{version} from {origin}, {lucene}", note)


def torch() -> Check:
    """PyTorch and what it was built for."""
    return _from_child("PyTorch", "import torch; print(torch.__version__)", _ok("PyTorch"), _REINSTALL)


def vllm() -> Check:
    """The platform that vLLM chose; without one it starts no engine."""
    code = "import vllm; from vllm.platforms import current_platform as p; print(vllm.__version__, p.device_type)"
    return _from_child("vLLM", code, _vllm_found, _REINSTALL)


def _vllm_found(found: str) -> Check:
    if found.split()[-1] not in ("cpu", "cuda"):
        return Check("vLLM", Status.FAIL, found, "No platform found: install extra `cpu`, or `gpu` and a CUDA driver")
    return Check("vLLM", Status.OK, found)


def ray() -> Check:
    """Ray with the libraries in use."""
    code = "import ray, ray.data, ray.train, ray.serve; print(ray.__version__)"
    return _from_child("Ray", code, _ok("Ray"), _REINSTALL)


def memory() -> Check:
    """Memory that processes may still take."""
    free = _free_memory() / GIB
    found = f"{free:.1f} GiB free"
    if free < MEMORY_GIB:
        remedy = f"{MEMORY_GIB} GiB recommended: end other programs, or lower kv_cache_gib and train.pack_tokens"
        return Check("memory", Status.WARN, found, remedy)
    return Check("memory", Status.OK, found)


def disk() -> Check:
    """Disk below the current folder, where runs are written by default."""
    free = shutil.disk_usage(Path.cwd()).free / GIB
    found = f"{free:.1f} GiB free here"
    if free < DISK_GIB:
        return Check("disk", Status.WARN, found, f"{DISK_GIB} GiB recommended: set run.folder to a larger disk")
    return Check("disk", Status.OK, found)


def gpus() -> Check:
    """GPUs that PyTorch sees; none is no fault."""
    code = (
        "import json, torch; n = torch.cuda.device_count() if torch.cuda.is_available() else 0; "
        "print(json.dumps([torch.cuda.get_device_name(i) for i in range(n)]))"
    )
    return _from_child("GPUs", code, _gpus_found, _REINSTALL)


def _gpus_found(found: str) -> Check:
    names = json.loads(found)
    driver = shutil.which("nvidia-smi") is not None
    if driver and not names:
        return Check("GPUs", Status.WARN, "a driver, but PyTorch sees no GPU", "Install extra `gpu` for CUDA builds")
    return Check("GPUs", Status.OK, ", ".join(names) or "none: models run on the CPU")


CHECKS: tuple[Callable[[], Check], ...] = (python, java, torch, vllm, ray, memory, disk, gpus)


def _ok(name: str) -> Callable[[str], Check]:
    return lambda found: Check(name, Status.OK, found)


def _from_child(name: str, code: str, judge: Callable[[str], Check], remedy: str) -> Check:
    """Run code in a child process, since imports of vendors are heavy and may crash; judge the last line it prints."""
    package = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_SECONDS, env=environment)
    except subprocess.TimeoutExpired:
        return Check(name, Status.FAIL, f"no answer in {CHILD_SECONDS} s", "Try again when the machine is less busy")
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode != 0 or not lines:
        return Check(name, Status.FAIL, lines[-1] if lines else f"ended with code {done.returncode}", remedy)
    return judge(lines[-1])


def _free_memory() -> int:
    """Bytes free on the machine or, where less, in this process's control group."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        values = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(values["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        return min(free, limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return free
