"""One contender in a process of its own: `python -m benchmarks.serving NAME PLAN FOLDER RESULT`."""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.serving.plan import ServingPlan


def measure(name: str, plan: ServingPlan, folder: Path) -> dict[str, Any]:
    """Run a contender; imports wait until its name is known."""
    match name:
        case "service":
            from benchmarks.serving.service import service

            return service(plan, folder)
        case "scripted":
            from benchmarks.serving.service import scripted

            return scripted(plan, folder)
        case "soak":
            from benchmarks.serving.service import soak

            return soak(plan, folder)
        case "naive":
            from benchmarks.serving.naive import naive

            return naive(plan)
    raise ValueError(f"no contender {name!r}")


def main() -> None:
    """Read the command line, measure, write the result."""
    name, plan, folder, result = sys.argv[1:]
    measured = measure(name, ServingPlan.from_json(plan), Path(folder))
    Path(result).write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
