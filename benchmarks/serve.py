"""The service against the engine alone, and against the usual first service; with a scripted student, its own ceiling.

    python benchmarks/serve.py [--repeats 3] [--only service --only raw_engine …] [--quick]

Workload: that of `benchmarks/generate.py` with 96 questions. Clients ask in a closed loop, three questions each or
more, with an empty prefix cache. The engine computes as many tokens as were recorded, and the recorded text replaces
its own, so all contenders but `naive` compute the same prompts and tokens.

`vs_raw_engine_32` is our rate at 32 clients, until the first of them has nothing left to ask, over that of
`LLM.generate` given all recorded prompts at once, question by question; `vs_raw_engine_32_drained` is taken over the
whole time, while the last questions end with ever fewer beside them. `overhead_ms_per_step` is what one client alone
waits beyond the time its requests spend in the engine: HTTP, loop, retrieval; `overhead_ms_per_step_median` is that of
the median question. `naive` takes one request at a time: its
rate does not depend on the clients.
`first_event_ms` is to `step_started`, which comes before the first retrieval; `first_passages_ms` includes that.
`piece_gap_ms` tells whether tokens are put together for 30 ms before they are sent.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from benchmarks.generation.plan import Plan
from benchmarks.generation.workload import Sizes, build_workload
from benchmarks.harness import Ratio, Result, medians, publish
from benchmarks.processes import TIMEOUT_S, run_child
from benchmarks.serving.plan import ServingPlan
from steper_ray.demo.model import ensure_base_model

CONTENDERS = ("service", "raw_engine", "naive", "scripted")
ONCE = ("naive", "scripted")
"""Run in the first repeat alone."""
CLIENTS, AGAIN = (1, 2, 4, 8, 16, 32, 64), (1, 16, 32)
"""Numbers of clients of the first repeat, and of the others: those that stand in ratios."""
QUESTIONS = 96
SATURATED = 0.95
THREADS = {"OMP_WAIT_POLICY": "passive"}
"""As in `benchmarks/generate.py`: spinning threads take each other's core."""

Runs = dict[str, list[dict[str, float]]]
_console = Console(soft_wrap=True, highlight=False)


def main() -> None:
    arguments = _arguments()
    sizes = Sizes(questions=8 if arguments.quick else QUESTIONS)
    repeats = 1 if arguments.quick else arguments.repeats
    with tempfile.TemporaryDirectory(prefix="steper-benchmark-") as folder:
        work, model = Path(folder), ensure_base_model()
        build_workload(work / "workload", model, sizes)
        plan = ServingPlan(
            workload=work / "workload",
            model=model,
            clients=AGAIN if arguments.quick else CLIENTS,
            per_client=2 if arguments.quick else 3,
            k=sizes.k,
            seed=sizes.seed,
            naive_questions=2 if arguments.quick else 8,
            scripted_seconds=2.0 if arguments.quick else 8.0,
        )
        runs = _run_all(plan, work, arguments.only or CONTENDERS, repeats, sizes.questions)
    result = Result(
        name="serve",
        ratios=_ratios(runs),
        medians={name: {**done[0], **medians(_shared(done))} for name, done in runs.items()},
        repeats=runs,
        settings={**asdict(sizes), **_facts(plan), "repeats": repeats},
        notes=_notes(),
    )
    publish(result, write=not (arguments.quick or arguments.only))


def _shared(repeats: list[dict[str, float]]) -> list[dict[str, float]]:
    """The figures that all repeats have: the first one has more."""
    return [{name: repeat[name] for name in repeats[-1]} for repeat in repeats]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of service and engine, interleaved")
    parser.add_argument("--only", action="append", choices=CONTENDERS, help="these contenders alone; writes no result")
    parser.add_argument("--quick", action="store_true", help="8 questions, one repeat; writes no result")
    return parser.parse_args()


def _run_all(plan: ServingPlan, work: Path, names: Sequence[str], repeats: int, questions: int) -> Runs:
    runs: Runs = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names:
            if repeat and name in ONCE:
                continue
            folder = work / f"{name}-{repeat}"
            folder.mkdir()
            now = replace(plan, clients=AGAIN) if repeat else plan
            figures = _raw_engine(now, folder, questions) if name == "raw_engine" else _contender(name, now, folder)
            runs[name].append({figure: round(value, 4) for figure, value in figures.items()})
            _console.print(f"{repeat + 1}/{repeats} {name}: {runs[name][-1]}")
    return runs


def _contender(name: str, plan: ServingPlan, folder: Path) -> dict[str, float]:
    measured, clock = run_child("benchmarks.serving", [name, plan.to_json(), str(folder)], TIMEOUT_S, THREADS)
    figures: dict[str, float] = measured["figures"]
    return {**figures, "cpu_s": clock.between(measured["started"], measured["ended"])}


def _raw_engine(plan: ServingPlan, folder: Path, questions: int) -> dict[str, float]:
    shared = Plan(plan.workload, plan.model, k=plan.k, batch=plan.batch, kv_gib=plan.kv_gib, seed=plan.seed)
    arguments = ["raw_engine", shared.to_json(), str(folder)]
    measured, clock = run_child("benchmarks.generation", arguments, TIMEOUT_S, THREADS)
    wall_s = measured["ended"] - measured["started"]
    return {"rps": questions / wall_s, "wall_s": wall_s, "cpu_s": clock.between(measured["started"], measured["ended"])}


def _ratios(runs: Runs) -> list[Ratio]:
    ratios: list[Ratio] = []
    service: list[dict[str, Any]] = runs.get("service", [])
    if service and "raw_engine" in runs:
        pairs = list(zip(service, runs["raw_engine"], strict=True))
        value = median(ours["busy_rps_32"] / raw["rps"] for ours, raw in pairs)
        ratios.append(Ratio("vs_raw_engine_32", value, "answers/s, 32 busy clients / engine alone", at_least=0.8))
        value = median(ours["rps_32"] / raw["rps"] for ours, raw in pairs)
        ratios.append(Ratio("vs_raw_engine_32_drained", value, "the same over the whole time"))
    if service and "naive" in runs:
        value = median(ours["rps_16"] for ours in service) / runs["naive"][0]["rps"]
        ratios.append(Ratio("vs_naive_16", value, "answers/s at 16 clients / of one at a time", at_least=5))
    if service:
        value = median(ours["overhead_ms_per_step"] for ours in service)
        ratios.append(Ratio("overhead_ms_per_step", value, "wait - engine, one client, ms per step", at_most=10))
        value = median(ours["first_event_ms_alone"] for ours in service)
        ratios.append(Ratio("first_event_ms", value, "to the first event, one client, ms", at_most=50))
        value = median(ours["first_passages_ms_alone"] for ours in service)
        ratios.append(Ratio("first_passages_ms", value, "to the first passages, one client, ms"))
        value = median(ours["rps_16_streamed"] / ours["rps_16"] for ours in service)
        ratios.append(Ratio("streamed_16", value, "answers/s at 16 clients, streamed / not"))
        value = median(ours["piece_gap_ms_alone"] for ours in service)
        ratios.append(Ratio("piece_gap_ms", value, "between pieces of a rationale, one client, ms", at_least=30))
    return ratios + (_ceiling(runs["scripted"][0]) if "scripted" in runs else [])


def _ceiling(figures: dict[str, float]) -> list[Ratio]:
    """What the service does when its student costs nothing, and from how many clients on it does no more."""
    rates = {int(name.removeprefix("rps_")): value for name, value in figures.items() if name.startswith("rps_")}
    best = max(rates.values())
    saturated = min(clients for clients, rate in rates.items() if rate >= SATURATED * best)
    return [
        Ratio("scripted_rps", best, "answers/s of three steps, scripted student, best of all numbers of clients"),
        Ratio("scripted_saturates_at", saturated, f"clients from which on there are {SATURATED:.0%} of these"),
        Ratio("ingress_rps", figures["ingress_rps"], "GET /v1/models /s: the ingress without the loop, 64 clients"),
    ]


def _facts(plan: ServingPlan) -> dict[str, Any]:
    facts = {"model": "SmolLM2-135M-Instruct", "batch": plan.batch, "kv_cache_gib": plan.kv_gib, **THREADS}
    return {**facts, "clients": list(plan.clients), "threads": plan.threads, "naive_questions": plan.naive_questions}


def _notes() -> list[str]:
    return [
        "The clients run on the same cores as the service.",
        "The engine's own text is replaced by the recorded one, so rationales are never found in the prefix cache.",
        "naive writes 100 tokens per step and retrieves nothing; the service writes what was recorded.",
    ]


if __name__ == "__main__":
    main()
