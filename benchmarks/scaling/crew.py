"""Many questions through any number of scripted engines, with every process's CPU and the driver's memory watched."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from steper_ray.config import load_config
from steper_ray.data.questions import read_questions
from steper_ray.data.schemas import part_files
from steper_ray.drive.collect import Collection, collect, counts
from steper_ray.drive.prepare import prepare
from steper_ray.index.run import build

PASSAGES = 2000
LATENCY_S = 0.5
IN_FLIGHT = 64
_SAMPLE_S = 0.5
_RETRIEVER = "ray::RetrieverActor"


class Watch:
    """Samples CPU of this process and all below it, and this process's memory; use as a context manager."""

    def __init__(self) -> None:
        self._cpu: dict[tuple[int, float], float] = {}
        self._retrievers: set[tuple[int, float]] = set()
        self.driver_mib: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def retriever_s(self) -> float:
        """CPU seconds of the retrievers so far."""
        return sum(value for name, value in self._cpu.items() if name in self._retrievers)

    @property
    def other_s(self) -> float:
        """CPU seconds of all other processes so far."""
        return sum(self._cpu.values()) - self.retriever_s

    def _run(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(_SAMPLE_S):
            self.driver_mib.append(me.memory_info().rss / 2**20)
            for process in [me, *me.children(recursive=True)]:
                try:
                    times, name = process.cpu_times(), (process.pid, process.create_time())
                    if process.name().startswith(_RETRIEVER[:15]):
                        self._retrievers.add(name)
                except psutil.Error:
                    continue
                self._cpu[name] = times.user + times.system


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
    """Drive so many questions with so many engines; figures without the start of Ray and of the engines."""
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
    job, _ = prepare(
        config.teacher, config.loop.settings(), config.folder("index"), section, seed=0, force_answer=False
    )
    asked = read_questions(folder / "questions.jsonl").questions
    into = Collection(folder / "generate", "scale", "scripted", "", 1, section.flush_rows, section.flush_s, False)
    into.folder.mkdir()
    with Watch() as watch:
        first = threading.Event()
        at_first: dict[str, float] = {}
        threading.Thread(target=_mark, args=(into.trajectories, watch, at_first, first), daemon=True).start()
        stats = collect(asked, job, into, config.ray)
        ended, other_s, retriever_s = time.monotonic(), watch.other_s, watch.retriever_s
        first.set()
    done = counts(asked, into)
    assert done["finished"] == questions == stats.finished, done
    kept = questions - int(at_first["rows"])
    return {
        "actors": actors,
        "questions": questions,
        "questions_per_s": kept / (ended - at_first["time"]),
        "overhead_ms": 1000 * (other_s - at_first["other_s"]) / kept,
        "retriever_ms": 1000 * (retriever_s - at_first["retriever_s"]) / kept,
        "driver_mib_peak": max(watch.driver_mib),
        "driver_mib_at_half": watch.driver_mib[len(watch.driver_mib) // 2],
        "driver_mib_at_end": watch.driver_mib[-1],
        "parts": len(part_files(into.trajectories)),
        "search_s_per_step": stats.search_s / stats.steps,
    }


def _mark(trajectories: Path, watch: Watch, into: dict[str, float], stop: threading.Event) -> None:
    """Note where things stand when the first part is written: from there on the crew is at work."""
    import pyarrow.parquet as pq

    while not stop.wait(0.05):
        if parts := part_files(trajectories) if trajectories.exists() else []:
            rows = sum(pq.read_metadata(part).num_rows for part in parts)
            into.update(time=time.monotonic(), rows=rows, other_s=watch.other_s, retriever_s=watch.retriever_s)
            return
