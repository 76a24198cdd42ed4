"""One contender in a process of its own: `python -m benchmarks.generation NAME PLAN FOLDER RESULT`.

Imports wait until the name is known: a process that spawns the JVM's must not have loaded more than it needs.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.generation.plan import Measured, Plan


def measure(name: str, plan: "Plan", folder: Path) -> "Measured":
    """Run a contender; `folder` is empty and for its files."""
    match name:
        case "ours":
            from benchmarks.generation.ours import ours

            return ours(plan, folder)
        case "raw_engine" | "raw_engine_by_step" | "raw_engine_uncached":
            from benchmarks.generation.raw import raw_engine

            return raw_engine(plan, prefix_caching=name != "raw_engine_uncached", by_step=name == "raw_engine_by_step")
        case "lockstep_all" | "lockstep_8":
            from benchmarks.generation.lockstep import lockstep

            return lockstep(plan, folder, 8 if name == "lockstep_8" else 10**6)
        case "ray_data_llm":
            from benchmarks.generation.chained import ray_data_llm

            return ray_data_llm(plan, folder)
    raise ValueError(f"no contender {name!r}")


def main() -> None:
    """Read the command line, measure, write the result."""
    from benchmarks.generation.plan import Plan

    name, plan, folder, result = sys.argv[1:]
    measured = measure(name, Plan.from_json(plan), Path(folder))
    Path(result).write_text(measured.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
