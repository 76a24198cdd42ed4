"""`steper_ray` as `steper generate` runs it: Ray Data, one loop actor, a retriever actor, the writer of parts."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.generation.plan import FLUSH_ROWS, FLUSH_S, Measured, Plan
from benchmarks.generation.recorded import RecordedLoader
from benchmarks.generation.workload import INDEX, read_workload, settings
from steper_ray.data.schemas import TRAJECTORIES, part_files, read_rows
from steper_ray.drive.collect import Collection, collect
from steper_ray.drive.job import LoopJob
from steper_ray.drive.stats import LoopStats
from steper_ray.sections.shared import RaySection

LOGICAL_CPUS = 8


def ours(plan: Plan, folder: Path) -> Measured:
    """Drive all questions; the clock starts with the actor's first request, when Ray and the engine have started."""
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / "journal.jsonl"
    job = LoopJob(
        how=settings(plan.layout, plan.k),
        model=plan.section(),
        index=plan.workload / INDEX,
        demonstrations=(),
        force_answer=False,
        step_timeout_s=300.0,
        actors=1,
        actors_max=1,
        in_flight=plan.in_flight,
        retrievers=1,
        seed=plan.seed,
        threads=plan.threads,
        load=RecordedLoader(plan.workload, journal),
    )
    into = Collection(
        folder=folder,
        title="ours",
        model_name="SmolLM2-135M-Instruct",
        fingerprint="",
        paths=1,
        flush_rows=FLUSH_ROWS,
        flush_s=FLUSH_S,
        retry_permanent=False,
    )
    questions = [found.question for found in read_workload(plan.workload)]
    stats = collect(questions, job, into, RaySection(num_cpus=LOGICAL_CPUS))
    rows = list(read_rows(into.trajectories, TRAJECTORIES))
    assert len(rows) == len(questions), "every question is finished"
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    return _measured(rows, lines, into.trajectories, _question_times(stats))


def _question_times(stats: LoopStats) -> dict[str, float]:
    """Where a question's time went, mean; the first search of the run, and the engine's trial, are in it."""
    times = {f"question_{name}_s": spent / stats.finished for name, spent in stats.times().items()}
    return {**times, "writing_s": stats.writing_s}


def _measured(
    rows: list[dict[str, Any]], lines: list[dict[str, Any]], parts: Path, times: dict[str, float]
) -> Measured:
    loaded, *requests = lines
    steps = [step for row in rows for step in row["steps"]]
    written = [part.stat().st_mtime for part in part_files(parts)]
    started, ended = min(line["arrived"] for line in requests), max(written)
    return Measured(
        started=started,
        ended=ended,
        prompt_tokens=sum(step["prompt_tokens"] for step in steps),
        cached_tokens=sum(step["cached_tokens"] for step in steps),
        completion_tokens=sum(step["completion_tokens"] for step in steps),
        first_written=min(written),
        figures={**_figures(requests, loaded, ended - started, ended), **times},
        steps=[[len(row["steps"]), *_computed(row)] for row in rows],
    )


def _computed(row: dict[str, Any]) -> tuple[int, int]:
    """Prompt tokens of a trajectory, and those of them that the engine computed."""
    prompt = sum(step["prompt_tokens"] for step in row["steps"])
    return prompt, prompt - sum(step["cached_tokens"] for step in row["steps"])


def _figures(requests: list[dict[str, Any]], loaded: dict[str, Any], wall_s: float, ended: float) -> dict[str, float]:
    """Where the wall time went: in the engine, between its steps, between two requests of a question, at the end."""
    by_question: dict[str, list[dict[str, Any]]] = {}
    for line in sorted(requests, key=lambda line: line["step"]):
        by_question.setdefault(line["question"], []).append(line)
    between = [
        later["arrived"] - earlier["answered"] for chain in by_question.values() for earlier, later in pairwise(chain)
    ]
    last = max(requests, key=lambda line: line["answered"])
    started = min(line["arrived"] for line in requests)
    firsts = sorted(line["arrived"] for line in requests if line["step"] == 1)
    return {
        "load_s": loaded["loaded_s"],
        "engine_steps": last["engine_steps"],
        "engine_busy_s": last["engine_busy_s"],
        "engine_busy_cpu_s": last["engine_busy_cpu_s"],
        "engine_gap_s": last["engine_gap_s"],
        "engine_idle_s": wall_s - last["engine_busy_s"] - last["engine_gap_s"] - (ended - last["answered"]),
        "worker_cpu_s": last["cpu_s"] - loaded["cpu_s"],
        "tokenising_s": last["tokenising_s"],
        "between_steps_mean_s": sum(between) / len(between),
        "in_flight_mean": sum(line["answered"] - line["arrived"] for line in requests) / wall_s,
        "first_16_arrived_s": firsts[min(15, len(firsts) - 1)] - started,
        "tail_s": ended - last["answered"],
    }
