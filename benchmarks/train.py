"""Trajectories per second and memory of training on CPU, against Hugging Face's `Trainer` and TRL's `SFTTrainer`.

    python benchmarks/train.py [--repeats 3] [--only ours_turns --only hf_trainer …] [--quick]

Workload (`training/workload.py`): trajectories of the demo world, two hops twice as often as three, six per update, 20
samples; SmolLM2-135M-Instruct, bf16 compute, fp32 weights and AdamW, the same learning rate and clipping, two threads.
All contenders take the same updates over the same trajectories; this is checked by the target tokens.

* `ours_appended`, `ours_turns`: our update on packs, a unit per sample or per trajectory. `ours_turns_two`: two ranks
  with one thread each.
* `hf_trainer`: a row per sample of the `appended` layout, four rows at once padded to the longest, `labels=`.
  `hf_trainer_one_row`: one row at once, hence without padding. `trl`: `SFTTrainer` on the rows of `hf_trainer`.
* `…_memory`: two updates of the same four trajectories of three steps; most memory in use during the second, above what
  is in use between the two.

Wall time runs from the end of the first update to the end of the last one; the model is loaded and the samples are
tokenised by then. Contenders run one after the other in fresh processes, the repeats interleaved, some of
them (`ONCE`) in the first one alone. A ratio is the median over the repeats, each against the run of the same repeat.
"""

import argparse
import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from benchmarks.harness import Ratio, Result, medians, publish
from benchmarks.processes import ChildFailed, run_child
from benchmarks.training.plan import Plan
from benchmarks.training.workload import MEMORY, PER_UPDATE, build_workload, read_workload
from steper_ray.demo.model import MODEL_NAME, ensure_base_model
from steper_ray.train.memory import ALLOCATOR

UPDATES = 4
"""With the first one, which is not timed."""
SPEED = ("ours_turns", "ours_appended", "hf_trainer", "trl", "ours_turns_two", "hf_trainer_one_row")
MEMORY_RUNS = ("ours_turns_memory", "ours_appended_memory", "hf_trainer_memory")
CONTENDERS = (*SPEED, *MEMORY_RUNS)
ONCE = ("trl", "hf_trainer_one_row", *MEMORY_RUNS)
"""Run in the first repeat alone: no goal hangs on the first two, and memory hardly varies."""
TIMEOUT_S = 3600
THREADS = {"OMP_WAIT_POLICY": "passive"}
"""Threads that spin while they wait take each other's core as soon as anything else runs on the machine."""
ENVIRONMENT = {**ALLOCATOR, **THREADS, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
"""Of every contender."""

Runs = dict[str, list[dict[str, Any]]]
_console = Console(soft_wrap=True, highlight=False)


def main() -> None:
    arguments = _arguments()
    updates, repeats = (2, 1) if arguments.quick else (UPDATES, arguments.repeats)
    names, notes = _present(arguments.only or CONTENDERS)
    with tempfile.TemporaryDirectory(prefix="steper-benchmark-") as folder:
        work, model = Path(folder), ensure_base_model()
        plan = Plan(workload=work / "workload.json", model=model)
        build_workload(work / "world", plan.workload, model, updates)
        facts = _facts(plan)
        runs = _run_all(plan, work, names, repeats)
    _check_equal_work(runs, facts)
    result = Result(
        name="train",
        ratios=_ratios(runs),
        medians={name: medians([_flat(run) for run in done]) for name, done in runs.items()},
        repeats={name: [_flat(run) for run in done] for name, done in runs.items()},
        settings={**facts, "updates_timed": updates - 1, "repeats": repeats, **_plan_facts(plan)},
        notes=[*_notes(), *notes],
    )
    publish(result, write=not (arguments.quick or arguments.only))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of every contender, interleaved")
    parser.add_argument("--only", action="append", choices=CONTENDERS, help="these contenders alone; writes no result")
    parser.add_argument("--quick", action="store_true", help="one timed update, one repeat; writes no result")
    return parser.parse_args()


def _present(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The contenders that can run, and a note on those that cannot."""
    if "trl" not in names or importlib.util.find_spec("trl"):
        return list(names), []
    note = "trl is not installed, so its ratios are missing: install the extra `benchmarks`."
    _console.print(f"[bold]{note}[/bold]")
    return [name for name in names if name != "trl"], [note]


def _run_all(plan: Plan, work: Path, names: Sequence[str], repeats: int) -> Runs:
    runs: Runs = {name: [] for name in names}
    for repeat in range(repeats):
        # Another one begins each time, so that none always runs on the machine that is still cool or cached.
        shift = repeat % len(names)
        for name in (*names[shift:], *names[:shift]):
            if repeat and name in ONCE:
                continue
            done = _run(name, plan, work / f"{name}-{repeat}")
            runs[name].append(done)
            figures = ", ".join(f"{figure} {value:,.3g}" for figure, value in _flat(done).items())
            _console.print(f"{repeat + 1}/{repeats} {name}: {figures}")
    return runs


def _run(name: str, plan: Plan, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    told = replace(plan, part=_part(name))
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": str(plan.threads)}
    measured, clock = run_child("benchmarks.training", [name, told.to_json(), str(folder)], TIMEOUT_S, environment)
    measured["part"] = told.part
    measured["wall_s"] = measured["ended"] - measured["started"]
    measured["cpu_s"] = clock.between(measured["started"], measured["ended"])
    return measured


def _part(name: str) -> str:
    return "memory" if name in MEMORY_RUNS else "speed"


def _flat(run: dict[str, Any]) -> dict[str, float]:
    """The figures of a run that stand in the results."""
    if run["part"] == "memory":
        found = {"rest_mib": run["rest_mib"], "peak_mib": run["peak_mib"], "above_rest_mib": _above_rest(run)}
    else:
        trajectories = run["updates"] * sum(PER_UPDATE.values())
        names = ("wall_s", "cpu_s", "tokens", "computed_tokens", "target_tokens", "loss")
        found = {"trajectories_per_s": trajectories / run["wall_s"], **{name: run[name] for name in names}}
    return {name: round(value, 4) for name, value in found.items()}


def _above_rest(run: dict[str, Any]) -> float:
    return float(run["peak_mib"] - run["rest_mib"])


def _ratios(runs: Runs) -> list[Ratio]:
    what = "trajectories per second of {} / {}"
    speed = [
        ("appended_vs_hf_trainer", "ours_appended", "hf_trainer", 1.8),
        ("turns_vs_hf_trainer", "ours_turns", "hf_trainer", 3.5),
        ("turns_vs_trl", "ours_turns", "trl", None),
        ("appended_vs_trl", "ours_appended", "trl", None),
        ("turns_vs_hf_trainer_one_row", "ours_turns", "hf_trainer_one_row", None),
        ("appended_vs_hf_trainer_one_row", "ours_appended", "hf_trainer_one_row", None),
        ("two_workers_vs_one", "ours_turns_two", "ours_turns", 0.85),
    ]
    found = [
        Ratio(name, _paired(runs, theirs, ours), what.format(ours, theirs), at_least=goal)
        for name, ours, theirs, goal in speed
        if ours in runs and theirs in runs
    ]
    what = "most memory above the resting state during one update, {} / hf_trainer"
    memory = [
        ("memory_vs_hf_trainer", "ours_appended", 0.6),
        ("memory_turns_vs_hf_trainer", "ours_turns", None),
    ]
    return found + [
        Ratio(name, _paired_memory(runs, f"{ours}_memory"), what.format(ours), at_most=goal)
        for name, ours, goal in memory
        if f"{ours}_memory" in runs and "hf_trainer_memory" in runs
    ]


def _paired(runs: Runs, theirs: str, ours: str) -> float:
    """Median over the repeats of their wall time / ours."""
    pairs = zip(runs[theirs], runs[ours], strict=False)
    return median(float(slow["wall_s"] / fast["wall_s"]) for slow, fast in pairs)


def _paired_memory(runs: Runs, ours: str) -> float:
    pairs = zip(runs[ours], runs["hf_trainer_memory"], strict=False)
    return median(_above_rest(mine) / _above_rest(theirs) for mine, theirs in pairs)


def _check_equal_work(runs: Runs, facts: dict[str, Any]) -> None:
    """Raises ChildFailed when a contender saw another number of target tokens than the workload has."""
    for name, done in runs.items():
        expected = facts[f"target_tokens_{_part(name)}"]
        for run in done:
            if run["target_tokens"] != expected:
                raise ChildFailed(f"{name} saw {run['target_tokens']} target tokens, the workload has {expected}")


def _facts(plan: Plan) -> dict[str, Any]:
    """What the workload holds; both layouts have the same targets."""
    facts: dict[str, Any] = {}
    for part, mix in (("speed", PER_UPDATE), ("memory", MEMORY)):
        updates = read_workload(plan.workload, part)
        trajectories = len(updates) * sum(mix.values())
        facts[f"trajectories_per_update_{part}"] = sum(mix.values())
        facts[f"samples_per_update_{part}"] = len(updates[0]["appended"])
        targets = set()
        for layout in ("turns", "appended"):
            units = [unit for update in updates for unit in update[layout]]
            tokens = sum(len(unit) for unit in units)
            facts[f"tokens_per_trajectory_{layout}_{part}"] = round(tokens / trajectories, 1)
            targets.add(sum(segment.stop - segment.start for unit in units for segment in unit.segments))
        (facts[f"target_tokens_{part}"],) = targets
    return facts


def _plan_facts(plan: Plan) -> dict[str, Any]:
    names = ("pack_tokens", "rows", "rate", "clip", "threads")
    return {"model": MODEL_NAME, **{name: getattr(plan, name) for name in names}, **ALLOCATOR, **THREADS}


def _notes() -> list[str]:
    return [
        "`Trainer` and TRL minimise the mean over all target tokens, ours the stage means weighed with 1 / (2 σ²). The "
        "figure `loss` is the former for all; in `turns` the prompts differ, so it does as well.",
        "`Trainer` computes the logits of all tokens, TRL and ours those of the targets alone.",
        "TRL gets the token ids of prompts and completions, so that it trains the same targets; its default of "
        "computing activations again is turned off, as it is in all others.",
        "`above_rest_mib`: resident memory (VmHWM − VmRSS) after freed memory was given back to the system.",
    ]


if __name__ == "__main__":
    main()
