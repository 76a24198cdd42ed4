"""One measurement in a process of its own: `python -m benchmarks.scaling WHAT FOLDER NUMBER [NUMBER] RESULT`."""

import json
import sys
from pathlib import Path
from typing import Any


def measure(what: str, folder: Path, numbers: list[int]) -> dict[str, Any]:
    """Imports wait until it is known what is wanted: the JVM must not start beside torch."""
    match what:
        case "crew":
            from benchmarks.scaling.crew import run_crew

            return run_crew(folder, *numbers)
        case "search_cost":
            from benchmarks.scaling.lucene import search_cost

            return search_cost(folder)
        case "million":
            from benchmarks.scaling.lucene import million

            return million(folder, *numbers)
        case "resume":
            from benchmarks.scaling.resume import resume

            return resume(folder, *numbers)
    raise ValueError(f"nothing to measure by the name {what!r}")


def main() -> None:
    """Read the command line, measure, write the result."""
    what, folder, *numbers, result = sys.argv[1:]
    found = measure(what, Path(folder), [int(number) for number in numbers])
    Path(result).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
