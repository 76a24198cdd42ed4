"""`steper_ray` as `steper serve` runs it, with a real engine or a scripted student, asked by more and more clients."""

import asyncio
import json
import time
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.generation.engine import section
from benchmarks.generation.workload import INDEX, read_workload, settings
from benchmarks.serving.clients import Asked, Watched, closed_loop, gets
from benchmarks.serving.memory import MemoryWatch
from benchmarks.serving.model import ServedLoader
from benchmarks.serving.plan import ServingPlan, report
from steper_ray.core.types import Layout
from steper_ray.sections.model import ModelSection
from steper_ray.sections.serve import ServeSection
from steper_ray.sections.shared import RaySection
from steper_ray.serve.plan import ServicePlan
from steper_ray.serve.run import serving_plan

LIMITS = ServeSection(port=0, max_ongoing=256, max_queued=1024, deadline_s=600, force_answer=False)
RAY = RaySection(num_cpus=8)
LEAST_ASKED = 8
"""Questions, however few clients."""
UNMEASURED = 4
"""Questions before all others, asked by two clients, so that both replicas of the loop have had one."""
STREAMED = 16
"""Clients of the streamed round."""
INGRESS_CLIENTS = 64
"""Clients that ask the ingress for what it knows by itself."""


def service(plan: ServingPlan, folder: Path) -> dict[str, Any]:
    """All questions of the workload by each number of clients, then once more streamed."""
    journal, bodies = folder / "journal.jsonl", _bodies(plan)
    figures, began = dict[str, float](), time.time()
    with serving_plan(_served(plan, journal), RAY) as url:
        asyncio.run(closed_loop(url, bodies[:UNMEASURED], 2))
        for clients in plan.clients:
            _forget(url)
            asked = bodies[: max(LEAST_ASKED, clients * plan.per_client)]
            found = asyncio.run(closed_loop(url, asked, clients))
            assert not found.failed, "the service refuses nothing here"
            steps = _engine_steps(journal, found)
            figures |= _figures(str(clients), found) | {f"busy_rps_{clients}": _busy_rate(steps, found)}
            if clients == 1:
                figures |= _overhead(steps, found)
        _forget(url)
        found = asyncio.run(closed_loop(url, bodies[: STREAMED * plan.per_client], STREAMED, stream=True))
        figures |= _figures(f"{STREAMED}_streamed", found) | _first(found)
        _forget(url)
        found = asyncio.run(closed_loop(url, bodies[:LEAST_ASKED], 1, stream=True))
        figures |= {f"{name}_alone": value for name, value in _first(found).items()}
    return report(began, time.time(), figures)


def scripted(plan: ServingPlan, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    """A student that writes at once: what ingress and loop can do."""
    how = settings(Layout.TURNS, plan.k)
    served = ServicePlan(how, ModelSection(backend="scripted"), (), plan.workload / INDEX, LIMITS, 0, plan.threads)
    bodies, figures, began = _bodies(plan), dict[str, float](), time.time()
    with serving_plan(served, RAY) as url:
        for clients in (*plan.clients, 256):
            found = asyncio.run(closed_loop(url, bodies, clients, seconds=plan.scripted_seconds))
            figures |= _figures(str(clients), found) | {f"refused_{clients}": float(found.failed)}
        figures["ingress_rps"] = asyncio.run(gets(url, "/v1/models", INGRESS_CLIENTS, plan.scripted_seconds))
    return report(began, time.time(), figures)


def soak(plan: ServingPlan, folder: Path) -> dict[str, Any]:
    """The real engine under constant load; memory and latencies early and late."""
    seconds, [clients] = plan.soak_seconds, plan.clients
    with serving_plan(_served(plan, folder / "journal.jsonl"), RAY) as url, MemoryWatch() as memory:
        found = asyncio.run(closed_loop(url, _bodies(plan), clients, seconds=seconds))
    began, tenth, half = found.started, seconds / 10, len(found.latencies) // 2
    early, late = memory.between(began + tenth, began + 2 * tenth), memory.between(began + 9 * tenth, began + seconds)
    slowest = [sorted(part)[int(0.99 * len(part))] for part in (found.latencies[:half], found.latencies[half:])]
    figures = {"early_p99_s": slowest[0], "late_p99_s": slowest[1], "failed": float(found.failed), "rps": found.rate}
    figures |= {f"early_mib_{name}": value for name, value in early.items()}
    figures |= {f"late_mib_{name}": value for name, value in late.items()}
    return report(began, found.ended, figures)


def _served(plan: ServingPlan, journal: Path) -> ServicePlan:
    how, student = settings(Layout.TURNS, plan.k), section(plan.model, plan.batch, plan.kv_gib)
    loader = ServedLoader(plan.workload, journal)
    return ServicePlan(how, student, (), plan.workload / INDEX, LIMITS, plan.seed, plan.threads, loader)


def _bodies(plan: ServingPlan) -> list[Asked]:
    found = (recording.question for recording in read_workload(plan.workload))
    return [{"id": question.id, "question": question.text} for question in found]


def _forget(url: str) -> None:
    """Empty the prefix cache; see `ServedModel`."""
    httpx.get(f"{url}/readyz", timeout=60).raise_for_status()


def _figures(clients: str, found: Watched) -> dict[str, float]:
    figures = {"rps": found.rate, "p50_s": found.quantile(0.5), "p99_s": found.quantile(0.99)}
    return {f"{name}_{clients}": value for name, value in figures.items()}


def _first(found: Watched) -> dict[str, float]:
    seen = {"first_event": found.first_events, "first_passages": found.first_passages, "piece_gap": found.gaps}
    return {f"{name}_ms": 1000 * median(times) for name, times in seen.items()}


def _engine_steps(journal: Path, found: Watched) -> list[dict[str, Any]]:
    """When each step of these requests arrived at the engine and was answered, from the engine's own journal."""
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if found.started <= line.get("arrived", 0.0) <= found.ended]
    assert len(steps) == found.steps
    return steps


def _overhead(steps: list[dict[str, Any]], found: Watched) -> dict[str, float]:
    """What one client waits beyond the engine's time, ms per step: over all questions, and of the median question."""
    taken: dict[str, list[float]] = {}
    for step in sorted(steps, key=itemgetter("arrived")):
        taken.setdefault(step["question"], []).append(step["answered"] - step["arrived"])
    beyond = [latency - sum(times) for latency, times in zip(found.latencies, taken.values(), strict=True)]
    per_step = [wait / len(times) for wait, times in zip(beyond, taken.values(), strict=True)]
    return {
        "overhead_ms_per_step": 1000 * sum(beyond) / found.steps,
        "overhead_ms_per_step_median": 1000 * median(per_step),
    }


def _busy_rate(steps: list[dict[str, Any]], found: Watched) -> float:
    """Questions' worth of answered steps per second while all clients were asking; steps under way count nothing."""
    answered = sum(step["answered"] <= found.drained for step in steps)
    return answered / (found.drained - found.started) * len(found.latencies) / found.steps
