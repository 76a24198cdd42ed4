"""Resident memory of a process tree over time, by what the processes are."""

import threading
import time
from statistics import median

import psutil

from benchmarks.processes import process_name

SAMPLING_S = 2.0


class MemoryWatch:
    """Samples this process's descendants; use as a context manager."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, dict[str, float]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def between(self, start: float, end: float) -> dict[str, float]:
        """Median MiB by name between two times of `time.time()`, and their sum as `all`."""
        samples = [sample for moment, sample in self._samples if start <= moment <= end]
        names = {name for sample in samples for name in sample}
        found = {name: median(sample.get(name, 0.0) for sample in samples) for name in names}
        return {**found, "all": sum(found.values())}

    def _run(self) -> None:
        known: dict[int, str] = {}
        while not self._stop.wait(SAMPLING_S):
            sample: dict[str, float] = {}
            for process in psutil.Process().children(recursive=True):
                try:
                    name = known[process.pid] = process_name(process, known.get(process.pid, ""))
                    sample[name] = sample.get(name, 0.0) + process.memory_info().rss / 2**20
                except psutil.Error:
                    continue
            self._samples.append((time.time(), sample))
