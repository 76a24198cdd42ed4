"""One JVM process for all Lucene tests."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steper_ray import errors

HERE = Path(__file__).parent


class Lucene:
    """Calls functions of `server.py` in a process of their own; their errors are raised here."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
            cwd=HERE.parents[1],
        )

    def __call__(self, name: str, **values: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, values]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the Lucene process ended with {self._process.wait()}: {self.noise()}"
        answer = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["error"])
            raise kind.__new__(kind, answer["message"])
        return answer["value"]

    def noise(self) -> str:
        """What Java and Python wrote to stderr."""
        return self._log.read_text()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@pytest.fixture(scope="session")
def lucene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lucene]:
    process = Lucene(tmp_path_factory.mktemp("lucene") / "stderr")
    yield process
    process.close()
