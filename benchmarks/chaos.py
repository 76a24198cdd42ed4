"""A generation and a training whose processes are killed at random, against the same ones that nobody disturbs.

    python benchmarks/chaos.py [--minutes 20] [--kill-every 20] [--seed 0] [--quick] [--only PART …]

On a Ray cluster of a head and three further nodes on this machine: a generation whose teacher replays recorded
rationales, one second each (victims: teacher actors, retrievers with their JVM, raylets, the driver); one by a vLLM
engine in a process of its own (engine, teacher, driver); a training of two workers (worker, raylet, driver). A killed
driver is followed by the same command, a lost node by another one after five seconds. The killer's seed decides when it
strikes and which kind; its time runs from the moment when the run goes on after the last kill.

What must hold: each key once; the contents of the calm run where the teacher replays; counts that add up; updates in
order, each once, with the calm run's losses. `--minutes` is about the length of the disturbed run on two cores; the
calm one comes first.
"""

import argparse
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.harness import Ratio, Result, publish
from benchmarks.killing.plan import PARTS, STEPS, ChaosPlan, sized
from benchmarks.processes import run_child
from steper_ray.train.journal import updates_of

Found = dict[str, Any]
TOLERANCE = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of the disturbed run, on two cores")
    parser.add_argument("--kill-every", type=float, default=20.0, help="mean time to the next kill, seconds")
    parser.add_argument("--seed", type=int, default=0, help="of the killer")
    parser.add_argument("--quick", action="store_true", help="three minutes in all, without vLLM; writes no result")
    parser.add_argument("--only", action="append", choices=PARTS, help="these parts alone; writes no result")
    options = parser.parse_args()
    minutes = 1.0 if options.quick else options.minutes
    plan = sized(minutes, options.kill_every, options.seed)
    if options.quick:
        plan = replace(plan, kill_every_s=10.0, parts=("generate", "train"))
    if options.only:
        plan = replace(plan, parts=tuple(options.only))
    with tempfile.TemporaryDirectory(prefix="steper-benchmark-") as folder:
        world = Path(folder)
        _make(world, plan)
        timeout_s = 600 + 60 * 6 * minutes
        calm, _ = run_child("benchmarks.killing", [plan.to_json(), folder], timeout_s)
        Console().print("calm", _seconds(calm), highlight=False)
        disturbed, _ = run_child("benchmarks.killing", [replace(plan, disturbed=True).to_json(), folder], timeout_s)
    publish(_result(plan, calm, disturbed), write=not (options.quick or options.only))


def _make(world: Path, plan: ChaosPlan) -> None:
    from benchmarks.killing.world import make_world
    from tests.train.tiny import write_model

    make_world(world, plan)
    write_model(world / "model")


def _result(plan: ChaosPlan, calm: Found, disturbed: Found) -> Result:
    return Result(
        name="chaos",
        ratios=[*_survival(calm, disturbed), *_what_must_hold(plan, calm["parts"], disturbed["parts"])],
        medians={"calm": _figures(calm), "disturbed": _figures(disturbed)},
        settings={
            "questions": plan.questions,
            "engine_questions": plan.engine_questions,
            "updates": plan.updates,
            "kill_every_s": plan.kill_every_s,
            "seed": plan.seed,
            "latency_s": plan.latency_s,
            "steps": STEPS,
            "kills": [f"{kill['phase']} {kill['after_s']:.0f} s {kill['kind']}" for kill in disturbed["kills"]],
        },
        notes=_notes(disturbed),
    )


def _survival(calm: Found, disturbed: Found) -> list[Ratio]:
    parts, undisturbed = disturbed["parts"], calm["parts"]
    survived = len(disturbed["kills"])
    slowdown = {name: parts[name]["seconds"] / undisturbed[name]["seconds"] for name in parts}
    return [
        Ratio("kills_survived", survived, "number of kills after which the run came to its end"),
        *(Ratio(f"kills_{kind}", count, "of these") for kind, count in sorted(disturbed["by_kind"].items())),
        Ratio("slowdown", _total(disturbed) / _total(calm), "seconds disturbed / calm, all parts"),
        *(Ratio(f"slowdown_{name}", value, "the same of this part") for name, value in slowdown.items()),
    ]


def _what_must_hold(plan: ChaosPlan, before: Found, after: Found) -> list[Ratio]:
    ratios = []
    if loops := [after[name] for name in ("generate", "engine") if name in after]:
        needed = sum(part["needed"] for part in loops)
        redone = sum(part["calls"] for part in loops) - needed
        ratios += [
            Ratio("redone_share", redone / needed, "calls of the teacher made again / calls needed"),
            Ratio("keys_lost", sum(map(_lost, loops)), "keys asked, not finished", at_most=0),
            Ratio("keys_twice", sum(map(_twice, loops)), "rows beyond one per key", at_most=0),
        ]
    if "generate" in after:
        changed = _changed(before["generate"], after["generate"])
        ratios.append(Ratio("contents_changed", changed, "replayed trajectories unlike the calm run's", at_most=0))
    if train := after.get("train"):
        difference = _loss(before["train"], train)
        ratios += [
            Ratio("updates_redone_share", train["redone"] / plan.updates, "updates made again / updates"),
            Ratio("updates_out_of_order", _disorder(train, plan.updates), "journal against 1 … n", at_most=0),
            Ratio("loss_difference", difference, "largest relative one of an update", at_most=TOLERANCE),
        ]
    return ratios


def _notes(disturbed: Found) -> list[str]:
    notes = [
        "All figures but slowdown and the shares are counts; the head is not killed.",
        "With a vLLM engine contents are not compared: batching is not bit-invariant.",
        "Updates made again are seen four times a second in the journal, so a few may be missed.",
    ]
    for name, part in disturbed["parts"].items():
        notes += [f"{name} gave up by itself and was submitted again: {_cause(words)}" for words in part["gave_up"]]
    return notes


def _cause(words: str) -> str:
    """The line before `details:` and `continue:`, without this machine's paths."""
    lines = [line for line in words.splitlines() if not re.match("details:|continue:|$", line)]
    return re.sub(r"/\S+/", "", lines[-1])[:200] if lines else "without a word"


def _total(found: Found) -> float:
    return sum(_seconds(found).values())


def _seconds(found: Found) -> dict[str, float]:
    return {name: round(part["seconds"], 1) for name, part in found["parts"].items()}


def _figures(found: Found) -> dict[str, float]:
    figures = {f"{name}_s": seconds for name, seconds in _seconds(found).items()}
    figures |= {f"{name}_submissions": part["submissions"] for name, part in found["parts"].items()}
    figures |= {f"{name}_calls": part["calls"] for name, part in found["parts"].items() if "calls" in part}
    return figures


def _lost(part: Found) -> int:
    return int(part["asked"]) - len(part["contents"])


def _twice(part: Found) -> int:
    return int(part["rows"]) - len(part["contents"])


def _changed(calm: Found, disturbed: Found) -> int:
    before, after = calm["contents"], disturbed["contents"]
    return sum(before.get(key) != after.get(key) for key in before.keys() | after.keys())


def _disorder(train: Found, updates: int) -> int:
    """How many places of the journal hold another update than they should."""
    found = [line["update"] for line in updates_of(train["lines"])]
    wrong = sum(number != place for place, number in enumerate(found, start=1))
    return wrong + abs(len(found) - updates)


def _loss(calm: Found, disturbed: Found) -> float:
    before, after = (updates_of(part["lines"]) for part in (calm, disturbed))
    pairs = [
        (one[name], other[name])
        for one, other in zip(before, after, strict=True)
        for name in ("L_init", "L_exp", "L_agg")
        if one.get(name) is not None
    ]
    return max(abs(one - other) / max(abs(one), 1e-9) for one, other in pairs)


if __name__ == "__main__":
    main()
