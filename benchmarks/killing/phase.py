"""One command run to its end: submitted again, unchanged, whenever its driver was killed or gave up."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import ROOT
from benchmarks.killing.killer import Killer

_LOOK_S = 0.25
_PATIENCE_S = 300.0
_MOST_SUBMISSIONS = 50


class NotSurvived(Exception):
    """A run that did not come to its end."""


@dataclass
class Ended:
    """A phase that came to its end."""

    seconds: float
    submissions: int
    gave_up: list[str] = field(default_factory=list)
    """Last lines of drivers that ended with an error by themselves."""
    redone: int = 0
    """How far progress fell back, summed: updates that were made again."""


def run_to_the_end(
    name: str,
    command: Sequence[str],
    log: Path,
    progress: Callable[[], int],
    killer: Killer | None = None,
    kinds: tuple[str, ...] = (),
) -> Ended:
    """Run `python *command`.

    Args:
        name: of the phase.
        command: behind `python`.
        log: takes what the drivers say.
        progress: a number that grows while the phase goes on.
        killer: kills processes of these kinds meanwhile.
        kinds: as in `killer.NAMES`.

    Raises:
        NotSurvived: nothing went on for five minutes, or the command ended with an error that no kill explains.
    """
    began, ended, last = time.monotonic(), Ended(0.0, 0), 0
    if killer:
        killer.begin()
    while True:
        ended.submissions += 1
        with log.open("ab") as words:
            driver = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=words, stderr=words
            )
        moved = time.monotonic()
        while driver.poll() is None:
            done = progress()
            ended.redone += max(0, last - done)
            if done != last:
                last, moved = done, time.monotonic()
            if time.monotonic() - moved > _PATIENCE_S:
                driver.kill()
                driver.wait()
                raise NotSurvived(f"{name} stood still for {_PATIENCE_S:.0f} s:\n{_last(log, 3000)}")
            if killer:
                killer.look(name, kinds, driver.pid, progress)
            time.sleep(_LOOK_S)
        if driver.returncode == 0:
            ended.seconds = time.monotonic() - began
            return ended
        if driver.returncode > 0:
            ended.gave_up.append(_last(log, 2000))
        if killer is None or ended.submissions >= _MOST_SUBMISSIONS:
            raise NotSurvived(f"{name} ended with code {driver.returncode}:\n{_last(log, 3000)}")


def _last(log: Path, characters: int) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-characters:]
