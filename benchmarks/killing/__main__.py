"""One run in a process of its own: `python -m benchmarks.killing PLAN FOLDER RESULT`; FOLDER holds the world."""

import hashlib
import json
import os
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.killing.killer import Killer, descendants
from benchmarks.killing.nodes import Nodes
from benchmarks.killing.phase import Ended, run_to_the_end
from benchmarks.killing.plan import ChaosPlan, common_settings
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.train.journal import read_journal, updates_of

_TRIES = 5
_CALM = ("tokens_per_s", "peak_share")


class Run:
    """A run of all parts in a folder beside the world."""

    def __init__(self, plan: ChaosPlan, world: Path, folder: Path, nodes: Nodes) -> None:
        self._plan, self._world, self._folder, self._nodes = plan, world, folder, nodes
        self.killer = Killer(plan.seed, plan.kill_every_s, nodes) if plan.disturbed else None
        folder.mkdir()
        (folder / "index").symlink_to(world / "index")

    def generation(self) -> dict[str, Any]:
        """The replayed generation; its samples are what is trained on."""
        settings = [
            f"generate.questions={self._world / 'questions.jsonl'}",
            "teacher.backend=replay",
            f"teacher.recordings={self._world / 'chains.jsonl'}",
            "generate.actors=2",
            "generate.retrievers=2",
            "generate.in_flight=8",
        ]
        kinds = ("teacher", "jvm", "raylet", "driver")
        return self._generate("generate", settings, self._plan.latency_s, kinds, self._plan.questions)

    def engine(self) -> dict[str, Any]:
        """The generation by a vLLM engine in a process of its own."""
        from steper_ray.demo.model import ensure_base_model

        settings = [
            f"generate.questions={self._world / 'few.jsonl'}",
            f"generate.folder={self._folder / 'engine'}",
            "teacher.backend=vllm",
            "teacher.engine=async",
            f"teacher.model={ensure_base_model()}",
            "teacher.kv_cache_gib=0.3",
            "loop.rationale_tokens=24",
            "generate.in_flight=4",
            "generate.flush_s=5",
        ]
        kinds = ("engine", "teacher", "driver")
        return self._generate("engine", settings, 0.0, kinds, self._plan.engine_questions)

    def training(self) -> dict[str, Any]:
        """A training of two workers on the samples of the replayed generation."""
        settings = [
            *common_settings(self._folder, self._nodes.address),
            f"train.model={self._world / 'model'}",
            "train.workers=2",
            "train.batch=4",
            "train.epochs=1000",
            f"train.updates={self._plan.updates}",
            "train.pack_tokens=8192",
            "train.learning_rate=1e-3",
            "train.compute_dtype=float32",
            "train.checkpoint_every=20",
            "train.evaluate_every=100000",
            "train.held_out_share=0",
            "train.max_failures=1000",
            "train.trackers=[]",
        ]
        folder = self._folder / "train"
        command = ["-m", "steper_ray.cli", "train", *settings]
        ended = self._to_the_end("train", command, lambda: _updates(folder), ("worker", "raylet", "driver"))
        lines = [{k: v for k, v in line.items() if k not in _CALM} for line in read_journal(folder)]
        return {**asdict(ended), "lines": lines}

    def _generate(
        self, name: str, settings: list[str], latency_s: float, kinds: tuple[str, ...], questions: int
    ) -> dict[str, Any]:
        calls, folder = self._folder / f"{name}.calls", self._folder / name
        common = common_settings(self._folder, self._nodes.address)
        command = ["-m", "benchmarks.killing.teacher", str(calls), str(latency_s), *common, *settings]
        ended = self._to_the_end(name, command, lambda: _size(calls), kinds)
        counts = _counts(folder)
        for _ in range(_TRIES):  # what failed at a death is tried again by the same command
            if not counts["failed"]:
                break
            again = run_to_the_end(name, command, self._folder / f"{name}.log", lambda: _size(calls))
            ended.seconds, ended.submissions = ended.seconds + again.seconds, ended.submissions + 1
            counts = _counts(folder)
        rows = list(read_rows(folder / "trajectories", TRAJECTORIES))
        assert counts["asked"] == counts["finished"] + sum(counts["failed"].values()) + counts["not_started"]
        assert counts["finished"] == counts["used"] + sum(counts["dropped"].values())
        return {
            **asdict(ended),
            "asked": questions,
            "counts": counts,
            "calls": _size(calls),
            "needed": sum(len(row["steps"]) for row in rows),
            "rows": len(rows),
            "contents": {row["question_id"]: _content(row) for row in rows},
            "torn": len(list((folder / "trajectories").glob(".*.tmp"))),
        }

    def _to_the_end(self, name: str, command: list[str], progress: Any, kinds: tuple[str, ...]) -> Ended:
        return run_to_the_end(name, command, self._folder / f"{name}.log", progress, self.killer, kinds)


def _counts(folder: Path) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["counts"]
    return counts


def _content(row: dict[str, Any]) -> str:
    said = [row["answer"], *((step["query"], step["retrieved"], step["rationale"]) for step in row["steps"])]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _updates(folder: Path) -> int:
    lines = updates_of(read_journal(folder))
    return int(lines[-1]["update"]) if lines else 0


def run(plan: ChaosPlan, world: Path) -> dict[str, Any]:
    """All parts, one after the other, on one cluster."""
    with Nodes() as nodes:
        one = Run(plan, world, world / ("disturbed" if plan.disturbed else "calm"), nodes)
        run_part = {"generate": one.generation, "engine": one.engine, "train": one.training}
        found = {name: run_part[name]() for name in plan.parts}
        kills = one.killer.kills if one.killer else []
    return {"parts": found, "kills": [asdict(kill) for kill in kills], "by_kind": Counter(kill.kind for kill in kills)}


def main() -> None:
    """Read the command line, run, write the result; nothing is left running."""
    plan, world, result = ChaosPlan.from_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    try:
        found = run(plan, world)
        result.write_text(json.dumps(found), encoding="utf-8")
    finally:
        for left in descendants():
            left.kill()


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    main()
