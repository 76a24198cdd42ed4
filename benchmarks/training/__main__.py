"""One contender in a process of its own: `python -m benchmarks.training NAME PLAN FOLDER RESULT`.

LAYOUT:RANK/SIZE instead of a name is one rank of several.
"""

import sys
from pathlib import Path

from benchmarks.training.plan import Measured, Plan


def measure(name: str, plan: Plan, folder: Path) -> Measured:
    """Run a contender; `folder` is empty and for its files."""
    match name.removesuffix("_memory"):
        case "ours_turns" | "ours_appended":
            from benchmarks.training.ours import ours

            return ours(plan, name.split("_")[1], folder)
        case "ours_turns_two":
            from benchmarks.training.ours import ours_in_ranks

            return ours_in_ranks(plan, "turns", folder, 2)
        case "hf_trainer" | "hf_trainer_one_row" | "trl":
            from benchmarks.training.baselines import baseline

            rows = 1 if name == "hf_trainer_one_row" else plan.rows
            return baseline(plan, folder, rows_at_once=rows, sft=name == "trl")
        case rank if ":" in rank:
            from benchmarks.training.ours import ours

            layout, _, place = rank.partition(":")
            number, _, size = place.partition("/")
            return ours(plan, layout, folder, int(number), int(size))
    raise ValueError(f"no contender {name!r}")


def main() -> None:
    """Read the command line, measure, write the result."""
    name, plan, folder, result = sys.argv[1:]
    measured = measure(name, Plan.from_json(plan), Path(folder))
    Path(result).write_text(measured.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
