"""Contenders run in fresh processes, so that no memory, thread or cache of one reaches the next; their CPU is counted."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.harness import ROOT

SAMPLING_S = 0.25


class ChildFailed(Exception):
    """A contender ended without a result."""


class CpuClock:
    """CPU seconds of a process and all its descendants over time, sampled by a thread; use as a context manager.

    A process that ends keeps the value of its last sample, so at most `SAMPLING_S` of its work is missed. Processes
    that leave the tree (double forks) are lost; Ray's do not.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seen: dict[tuple[int, float], float] = {}
        self._samples: list[tuple[float, float]] = []
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
        return self._at(end) - self._at(start)

    def _at(self, moment: float) -> float:
        before = (0.0, 0.0)
        for sample in self._samples:
            if sample[0] >= moment:
                share = (moment - before[0]) / (sample[0] - before[0]) if before[0] else 0.0
                return before[1] + share * (sample[1] - before[1])
            before = sample
        return before[1]

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
                    times = process.cpu_times()
                    self._seen[process.pid, process.create_time()] = times.user + times.system
            except psutil.Error:
                continue
        self._samples.append((time.time(), sum(self._seen.values())))


def run_child(module: str, arguments: Sequence[str], timeout_s: float) -> tuple[dict[str, Any], CpuClock]:
    """Run `python -m module *arguments RESULT`, where the child writes a JSON object into the file RESULT.

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
                env={**os.environ, "PYTHONPATH": search},
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
            )
            with CpuClock(child.pid) as clock:
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
