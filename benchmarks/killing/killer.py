"""Kills random processes among the descendants of this one, and no other; the seed decides when and which kind."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from benchmarks.killing.nodes import Nodes

NAMES = {
    "teacher": ("ray::MapWorker", "ray::_MapWorker"),
    "engine": ("VLLM::EngineCore",),
    "jvm": ("ray::RetrieverActor",),
    "worker": ("ray::RayTrainWorker", "ray::_RayTrainWorker"),
}
"""Beginnings of command lines by kind; a `driver` is the command itself, a `raylet` that of an added node."""
_LEAST_S = 3.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill."""

    phase: str
    kind: str
    after_s: float
    """Since the phase began."""


class Killer:
    """Kills one process at a time, after a random time that begins when the run goes on after the last kill."""

    def __init__(self, seed: int, every_s: float, nodes: Nodes) -> None:
        self._random, self._every_s, self._nodes = random.Random(seed), every_s, nodes
        self._phase_began = 0.0
        self._due: float | None = None
        """When the next kill is due; None until the run goes on."""
        self._seen: int | None = None
        self.kills: list[Kill] = []

    def begin(self) -> None:
        """A phase begins."""
        self._phase_began, self._seen, self._due = time.monotonic(), None, None

    def look(self, phase: str, kinds: tuple[str, ...], driver: int, progress: Callable[[], int]) -> None:
        """Kill if it is time to, a process of one of these kinds."""
        self._nodes.mend()
        now, done = time.monotonic(), progress()
        if self._seen is None or done < self._seen:  # updates went back to a checkpoint
            self._seen = done
        if self._due is None and done > self._seen:
            self._due = now + max(_LEAST_S, self._random.expovariate(1 / self._every_s))
        if self._due is None or now < self._due:
            return
        found = {kind: victims for kind in kinds if (victims := self._victims(kind, driver))}
        if not found:
            return
        kind = self._random.choice(sorted(found))
        victim = self._random.choice(sorted(found[kind], key=lambda process: process.pid))
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            return
        if kind == "raylet":
            self._nodes.lose(victim)
        self.kills.append(Kill(phase, kind, round(now - self._phase_began, 1)))
        print(f"{phase}: killed {kind} after {now - self._phase_began:.0f} s", flush=True)
        self._seen, self._due = progress(), None

    def _victims(self, kind: str, driver: int) -> list[psutil.Process]:
        if kind == "raylet":
            return self._nodes.raylets()
        if kind == "driver":
            return [psutil.Process(driver)]
        return [process for process in descendants() if _title(process).startswith(NAMES[kind])]


def descendants() -> list[psutil.Process]:
    """All living descendants of this process."""
    return psutil.Process().children(recursive=True)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return ""
