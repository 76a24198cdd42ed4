"""Many questions through any number of scripted engines; every process's CPU and the driver's memory are watched."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from benchmarks.processes import CpuClock
from steper_ray.config import Config, load_config
from steper_ray.core.types import Question
from steper_ray.data.questions import read_questions
from steper_ray.data.schemas import part_files
from steper_ray.drive.collect import Collection, collect, counts
from steper_ray.drive.fingerprint import claim_folder, read_fingerprint
from steper_ray.drive.prepare import prepare
from steper_ray.generate.samples import samples_job, write_samples
from steper_ray.generate.totals import totals_of
from steper_ray.index.run import build

PASSAGES = 2000
LATENCY_S = 0.5
IN_FLIGHT = 64
_SAMPLE_S = 0.5
_RETRIEVER = "RetrieverActor"


class Memory:
    """Samples this process's memory; use as a context manager."""

    def __init__(self) -> None:
        self.mib: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(_SAMPLE_S):
            self.mib.append(me.memory_info().rss / 2**20)


def make_world(folder: Path, questions: int) -> None:
    """A small corpus with its index, and questions of which no two share a query."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "corpus.jsonl").open("w") as file:
        for number in range(PASSAGES):
            text = f"Town {number} lies at river {number % 89} near mount {number % 97}."
            file.write(json.dumps({"_id": f"p{number}", "title": f"Town {number}", "text": text}) + "\n")
    with (folder / "questions.jsonl").open("w") as file:
        for number in range(questions):
            asked = f"Which river is town {number % PASSAGES} at, in case {number}?"
            row = {"id": f"q{number}", "question": asked, "golden_answers": [f"answer to q{number}"]}
            file.write(json.dumps(row) + "\n")
    build(load_config(None, [f"run.folder={folder}", f"index.corpus={folder / 'corpus.jsonl'}"]))


def run_crew(folder: Path, actors: int, questions: int) -> dict[str, Any]:
    """Drive so many questions with so many engines; figures without the start of Ray and of the engines.

    Samples and totals are made behind it, as `steper generate` does, and have figures of their own.
    """
    make_world(folder, questions)
    config = load_config(
        None,
        [
            f"run.folder={folder}",
            "teacher.backend=scripted",
            f"teacher.scripted_latency_s={LATENCY_S}",
            f"generate.actors={actors}",
            f"generate.in_flight={IN_FLIGHT}",
            f"ray.num_cpus={actors + 4}",
        ],
    )
    section = config.generate
    job, parts = prepare(
        config.teacher, config.loop.settings(), config.folder("index"), section, seed=0, force_answer=False
    )
    asked = read_questions(folder / "questions.jsonl").questions
    into = Collection(folder / "generate", "scale", "scripted", "", 1, section.flush_rows, section.flush_s, False)
    into.folder.mkdir()
    claim_folder(into.folder, parts)
    with Memory() as memory, CpuClock(os.getpid()) as clock:
        stats = collect(asked, job, into, config.ray)
        ended = time.time()
        while_driving = list(memory.mib)
        samples = _close(config, read_fingerprint(into.folder), asked, into)
    done = counts(asked, into)
    assert done["finished"] == questions == stats.finished, done
    assert samples["trajectories"] == questions, "samples are decided about all of them"
    started, rows = _first_part(into.trajectories)
    spent, kept = clock.by_name(started, ended), questions - rows
    retriever_s = spent.pop(_RETRIEVER)
    return {
        "actors": actors,
        "questions": questions,
        "questions_per_s": kept / (ended - started),
        "overhead_ms": 1000 * sum(spent.values()) / kept,
        "retriever_ms": 1000 * retriever_s / kept,
        **{f"cpu_ms_{name}": 1000 * seconds / kept for name, seconds in _largest(spent)},
        "driver_mib_peak": max(memory.mib),
        "driver_mib_at_half": while_driving[len(while_driving) // 2],
        "driver_mib_at_end": while_driving[-1],
        "samples_and_totals_s": samples["seconds"],
        "parts": len(part_files(into.trajectories)),
        "search_s_per_step": stats.search_s / stats.steps,
    }


def _close(config: Config, parts: dict[str, Any], asked: tuple[Question, ...], into: Collection) -> dict[str, Any]:
    """What `steper generate` does once the last question is finished."""
    began, keys = time.monotonic(), frozenset(into.keys(asked))
    write_samples(samples_job(config, parts, keys))
    totals = totals_of(into.trajectories, keys, config.loop.settings().step_limit)
    return {"trajectories": totals.trajectories, "seconds": time.monotonic() - began}


def _first_part(trajectories: Path) -> tuple[float, int]:
    """When the first part was written and its rows: from then on the crew is at work."""
    first = part_files(trajectories)[0]
    return first.stat().st_mtime, int(pq.read_metadata(first).num_rows)


def _largest(spent: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(spent.items(), key=lambda entry: -entry[1])[:3]
