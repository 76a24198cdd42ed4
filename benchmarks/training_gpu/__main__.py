"""One contender in a process of its own: `python -m benchmarks.training_gpu NAME SETTINGS FOLDER RESULT`."""

import sys
from pathlib import Path

from benchmarks.training.plan import Measured
from benchmarks.training_gpu.settings import Settings


def measure(name: str, settings: Settings, folder: Path) -> Measured:
    """Run a contender; `folder` is empty and for its files."""
    match name:
        case "ours":
            from benchmarks.training_gpu.ours import ours

            return ours(settings, folder)
        case "trainer" | "trl":
            from benchmarks.training_gpu.baseline import baseline

            return baseline(settings, folder, sft=name == "trl")
    raise ValueError(f"no contender {name!r}")


def main() -> None:
    """Read the command line, measure, write the result."""
    name, settings, folder, result = sys.argv[1:]
    measured = measure(name, Settings.from_json(settings), Path(folder))
    Path(result).write_text(measured.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
