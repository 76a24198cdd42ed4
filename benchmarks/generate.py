"""Throughput of `steper generate` with a real vLLM engine on CPU, against the engine alone and the usual ways.

    python benchmarks/generate.py [--repeats 3] [--only ours --only raw_engine …] [--quick]

Workload (`generation/workload.py`): 64 questions of 2–5 steps, 4 passages of 40–100 words per step, recorded rationales
of 16–96 tokens, SmolLM2-135M-Instruct, at most 32 sequences at once. `ours` has 32 questions in flight; `ours_by_room`
is given as many as its engine has room for, as `generate.in_flight` does when it is empty. All contenders compute the
same prompts and the same numbers of tokens with the same engine settings; this is checked.

Wall time runs from the first request that an engine gets to the last trajectory written. Engines, Ray and the JVM have
started by then, and each engine has computed one request. So the first retrieval is outside: for `ours` that of one
question, for `lockstep_*` that of a whole batch, which favours them.

Contenders run one after the other in fresh processes, the repeats interleaved. A ratio is the median over the repeats
of baseline wall time / our wall time, so that other load on the machine, which changes over minutes, mostly cancels.
"""

import argparse
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from benchmarks.generation.plan import Plan
from benchmarks.generation.workload import Recording, Sizes, build_workload
from benchmarks.harness import Ratio, Result, medians, publish
from benchmarks.processes import TIMEOUT_S, ChildFailed, run_child
from steper_ray.core.types import Layout
from steper_ray.demo.model import ensure_base_model

BASELINES = {
    "raw_engine": 0.85,
    "raw_engine_by_step": None,
    "raw_engine_uncached": None,
    "lockstep_all": 1.05,
    "lockstep_8": 1.5,
    "ray_data_llm": None,
}
"""Contender → goal of its wall time / ours."""
ONCE = {
    "ours_by_room": Layout.TURNS,
    "ours_appended": Layout.APPENDED,
    "raw_engine_by_step": Layout.TURNS,
    "raw_engine_uncached": Layout.TURNS,
    "ray_data_llm": Layout.TURNS,
}
"""Run in the first repeat alone: token counts need no second, and the chained engines take minutes to load."""
CONTENDERS = ("ours", *BASELINES, "ours_by_room", "ours_appended")
THREADS = {"OMP_WAIT_POLICY": "passive"}
"""In every contender: threads that spin while they wait take each other's core as soon as anything else runs, and the
figures then tell more about that than about the contenders."""
STEPS_OF_CLAIM = 4
"""Number of steps of the trajectories by which the layouts are compared."""

Runs = dict[str, list[dict[str, Any]]]
_console = Console(soft_wrap=True, highlight=False)


def main() -> None:
    arguments = _arguments()
    sizes = Sizes(questions=16) if arguments.quick else Sizes()
    repeats = 1 if arguments.quick else arguments.repeats
    with tempfile.TemporaryDirectory(prefix="steper-benchmark-") as folder:
        work, model = Path(folder), ensure_base_model()
        recordings = build_workload(work / "workload", model, sizes)
        plan = Plan(workload=work / "workload", model=model, k=sizes.k, seed=sizes.seed)
        runs = _run_all(plan, work, arguments.only or CONTENDERS, repeats)
    _check_equal_work(runs, recordings)
    shown = {name: medians([_flat(run) for run in done]) for name, done in runs.items()}
    settings = {**asdict(sizes), **_workload_facts(recordings), **_plan_facts(plan), "repeats": repeats}
    result = Result(
        name="generate",
        ratios=_ratios(runs),
        medians=shown,
        repeats={name: [_flat(run) for run in done] for name, done in runs.items()},
        settings=settings,
        notes=_notes(runs),
    )
    publish(result, write=not (arguments.quick or arguments.only))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of every contender, interleaved")
    parser.add_argument("--only", action="append", choices=CONTENDERS, help="these contenders alone; writes no result")
    parser.add_argument("--quick", action="store_true", help="16 questions, one repeat; writes no result")
    return parser.parse_args()


def _run_all(plan: Plan, work: Path, names: "tuple[str, ...] | list[str]", repeats: int) -> Runs:
    runs: Runs = {name: [] for name in names}
    for repeat in range(repeats):
        # Another one begins each time, so that none always runs on the machine that is still cool or cached.
        shift = repeat % len(names)
        for name in (*names[shift:], *names[:shift]):
            if repeat and name in ONCE:
                continue
            in_flight = None if name == "ours_by_room" else plan.in_flight
            own = replace(plan, layout=ONCE.get(name, Layout.TURNS), in_flight=in_flight)
            runs[name].append(_run(name, own, work / f"{name}-{repeat}"))
            done = runs[name][-1]
            _console.print(
                {name: round(seconds, 1) for name, seconds in done["cpu_by_process"].items() if seconds > 0.05}
            )
            _console.print(f"{repeat + 1}/{repeats} {name}: {done['wall_s']:.1f} s wall, {done['cpu_s']:.1f} s CPU")
    return runs


def _run(name: str, plan: Plan, folder: Path) -> dict[str, Any]:
    module_name = "ours" if name.startswith("ours") else name
    folder.mkdir()
    measured, clock = run_child("benchmarks.generation", [module_name, plan.to_json(), str(folder)], TIMEOUT_S, THREADS)
    measured["wall_s"] = measured["ended"] - measured["started"]
    measured["cpu_s"] = clock.between(measured["started"], measured["ended"])
    measured["cpu_by_process"] = clock.by_name(measured["started"], measured["ended"])
    return measured


def _flat(run: dict[str, Any]) -> dict[str, float]:
    """The figures of a run that stand in the results."""
    figures = {name: run[name] for name in ("wall_s", "cpu_s", "prompt_tokens", "cached_tokens", "completion_tokens")}
    figures["tokens_per_s_out"] = run["completion_tokens"] / run["wall_s"]
    figures["cache_hit_rate"] = run["cached_tokens"] / run["prompt_tokens"]
    if run["first_written"]:
        figures["first_written_s"] = run["first_written"] - run["started"]
    return {name: round(value, 4) for name, value in (figures | (run["figures"] or {})).items()}


def _ratios(runs: Runs) -> list[Ratio]:
    found = [
        Ratio(f"vs_{name}", _paired(runs, name, "wall_s"), f"wall time of {name} / ours", at_least=goal)
        for name, goal in BASELINES.items()
        if name in runs and "ours" in runs
    ]
    found += [
        Ratio(f"cpu_vs_{name}", _paired(runs, name, "cpu_s"), f"CPU seconds of {name} / ours")
        for name in BASELINES
        if name in runs and "ours" in runs
    ]
    if "ours" in runs and "ours_by_room" in runs:
        value = _paired(runs, "ours_by_room", "wall_s")
        found.append(Ratio("by_room", value, "our wall time, as many in flight as fit / 32"))
    if "ours" in runs and "ours_appended" in runs:
        computed = _tokens(runs["ours"][0], computed=True)
        baseline = "prompt tokens computed, turns with cache / appended without, 4 steps"
        value = computed / _tokens(runs["ours_appended"][0], computed=False)
        found.append(Ratio("turns_prompt_tokens", value, baseline, at_most=0.55))
        baseline = "prompt tokens computed, turns with cache / appended with cache, 4 steps"
        value = computed / _tokens(runs["ours_appended"][0], computed=True)
        found.append(Ratio("turns_prompt_tokens_both_cached", value, baseline))
    return found


def _paired(runs: Runs, name: str, figure: str) -> float:
    """Median over the repeats of theirs / ours, each against our run of the same repeat."""
    return median(float(theirs[figure] / ours[figure]) for theirs, ours in zip(runs[name], runs["ours"], strict=False))


def _tokens(run: dict[str, Any], *, computed: bool) -> int:
    """Prompt tokens of the trajectories of four steps; without a cache the engine computes all of them."""
    return sum(row[2 if computed else 1] for row in run["steps"] if row[0] == STEPS_OF_CLAIM)


def _check_equal_work(runs: Runs, recordings: list[Recording]) -> None:
    """Raises ChildFailed when a contender computed other prompts or another number of tokens than recorded."""
    written = sum(sum(found.tokens) for found in recordings)
    for name, done in runs.items():
        layout = ONCE.get(name, Layout.TURNS).value
        shown = sum(len(prompt) for found in recordings for prompt in found.prompts[layout])
        # The chained engines also get a token for every step that a question does not take.
        extra = sum(5 - len(found.tokens) for found in recordings) if name == "ray_data_llm" else 0
        for run in done:
            if (run["prompt_tokens"], run["completion_tokens"]) != (shown + extra, written + extra):
                raise ChildFailed(
                    f"{name} computed {run['prompt_tokens']} and {run['completion_tokens']} tokens, "
                    f"recorded are {shown + extra} and {written + extra}"
                )


def _workload_facts(recordings: list[Recording]) -> dict[str, float]:
    tokens = [count for found in recordings for count in found.tokens]
    return {
        "steps": len(tokens),
        "rationale_tokens_mean": round(sum(tokens) / len(tokens), 1),
        **{
            f"prompt_tokens_mean_{layout.value}": round(
                sum(len(prompt) for found in recordings for prompt in found.prompts[layout.value]) / len(tokens), 1
            )
            for layout in Layout
        },
    }


def _plan_facts(plan: Plan) -> dict[str, Any]:
    return {
        "model": "SmolLM2-135M-Instruct",
        "batch": plan.batch,
        "in_flight": plan.in_flight,
        "kv_cache_gib": plan.kv_gib,
        "threads": plan.threads,
        **THREADS,
        "chained_kv_cache_gib": plan.chained_kv_gib,
    }


def _notes(runs: Runs) -> list[str]:
    notes = [
        "raw_engine gets the prompts question by question, so that steps of a question are computed at the same time; "
        "raw_engine_by_step gets all first steps, then all second ones, as any loop must: a step needs the one before.",
        "The engine's own text is replaced by the recorded one, so rationales are never found in the prefix cache.",
    ]
    most = max(len(done) for done in runs.values())
    if once := [name for name, done in runs.items() if len(done) == 1 < most]:
        notes.append(
            f"{', '.join(once)} ran once, in the first of {most} repeats: their figures and ratios are of that run, no "
            "medians, and other load on the machine at that time is in them."
        )
    if "ray_data_llm" in runs:
        notes.append(
            "ray_data_llm is spared retrieval, prompts and tokenising; a question that has ended costs it one token "
            "per further step. It does not tell cached tokens, so its cache figures are 0."
        )
    return notes


if __name__ == "__main__":
    main()
