"""Contenders run in fresh processes, so that nothing of one reaches the next; the CPU seconds of each are counted."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import psutil

from benchmarks.harness import ROOT
from steper_ray.cli.command import unwinding

SAMPLING_S = 1.0
"""A sample of twenty processes takes 5 ms: too often, and the contenders that have many would feel it."""
TIMEOUT_S = 7200
"""Of one contender: far more than any takes on a slow machine, since all that was measured before is lost with it."""


class ChildFailed(Exception):
    """A contender ended without a result."""


class CpuClock:
    """CPU seconds of a process and all its descendants over time, sampled by a thread; use as a context manager.

    Between two samples a process is taken to work evenly. One that ends keeps the value of its last sample, so at most
    `SAMPLING_S` of its work is missed. Processes that leave the tree (double forks) are lost; Ray's do not.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seen: dict[tuple[int, float], float] = {}
        self._names: dict[tuple[int, float], str] = {}
        self._samples: list[tuple[float, dict[tuple[int, float], float]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "CpuClock":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def between(self, start: float, end: float) -> float:
        """CPU seconds spent between two times of `time.time()`."""
        return sum(self.by_name(start, end).values())

    def by_name(self, start: float, end: float) -> dict[str, float]:
        """The same by the processes' names (of Ray's actors, their class)."""
        first, last = self._at(start), self._at(end)
        spent: dict[str, float] = {}
        for process, seconds in last.items():
            name = self._names[process]
            spent[name] = spent.get(name, 0.0) + seconds - first.get(process, 0.0)
        return spent

    def _at(self, moment: float) -> dict[tuple[int, float], float]:
        """CPU seconds of each process up to a moment; nothing before the first sample, the last one after it."""
        later = bisect_left(self._samples, moment, key=itemgetter(0))
        if later == 0:
            return {}
        before, had = self._samples[later - 1]
        if later == len(self._samples):
            return had
        after, got = self._samples[later]
        share = (moment - before) / (after - before)
        return {process: had.get(process, 0.0) * (1 - share) + spent * share for process, spent in got.items()}

    def _run(self) -> None:
        while not self._stop.wait(SAMPLING_S):
            self._sample()

    def _sample(self) -> None:
        try:
            tree = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in tree:
            try:
                with process.oneshot():
                    times, key = process.cpu_times(), (process.pid, process.create_time())
                    # First the name: a process may end between the two lines.
                    self._names[key] = process_name(process, self._names.get(key, ""))
                    self._seen[key] = times.user + times.system
            except psutil.Error:
                continue
        self._samples.append((time.time(), dict(self._seen)))


def process_name(process: psutil.Process, known: str) -> str:
    """What a process is; Ray's workers tell their actor's class only while a call runs."""
    words = process.cmdline() or [process.name()]
    if found := re.match(r"ray::(?:_?MapWorker\()?(\w+)", words[0]):
        return known if found.group(1) == "IDLE" and known else found.group(1)
    return known or Path(words[0]).name


def run_child(
    module: str, arguments: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], CpuClock]:
    """Run `python -m module *arguments RESULT`, where the child writes a JSON object into the file RESULT.

    Args:
        module: importable from the root of the repository.
        arguments: before the name of the file.
        timeout_s: after so many seconds the child and its descendants are killed, as when we are told to end.
        environment: variables besides our own.

    Raises:
        ChildFailed: it ended with an error, wrote nothing or took too long; its last words are told.
    """
    with tempfile.TemporaryDirectory(prefix="steper-benchmark-") as folder:
        result, log = Path(folder) / "result.json", Path(folder) / "log"
        search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        with log.open("wb") as words:
            child = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, str(result)],
                cwd=ROOT,
                env={**os.environ, **(environment or {}), "PYTHONPATH": search},
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
            )
            with unwinding(), CpuClock(child.pid) as clock:
                try:
                    code = child.wait(timeout_s)
                except subprocess.TimeoutExpired:
                    end_tree(child.pid)
                    child.wait()
                    raise ChildFailed(f"{module} {arguments[0]} took more than {timeout_s:g} s") from None
                except BaseException:
                    end_tree(child.pid)
                    child.wait()
                    raise
        if code != 0 or not result.exists():
            last = log.read_text(encoding="utf-8", errors="replace")[-4000:]
            raise ChildFailed(f"{module} {arguments[0]} ended with code {code}:\n{last}")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found, clock


def end_tree(pid: int) -> None:
    """Kill a process and all its descendants."""
    try:
        root = psutil.Process(pid)
        tree = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for process in tree:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
