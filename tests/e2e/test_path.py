"""The whole path on a tiny world with the small language model: real Lucene, vLLM, Ray Data, Ray Train and FSDP."""

import json
from pathlib import Path

import pytest

from steper_ray.config import Config, load_config
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.demo.writer import write_world
from steper_ray.evaluate.run import evaluate
from steper_ray.generate.run import generate
from steper_ray.index.run import build
from steper_ray.report.run import report
from steper_ray.train.run import train

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.vllm, pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Config:
    folder = tmp_path_factory.mktemp("path")
    write_world(folder / "world", seed=3, passages=400, train_questions=8, held_out_questions=3)
    return load_config(
        None,
        [
            f"run.folder={folder}",
            f"index.corpus={folder / 'world/corpus.jsonl'}",
            f"generate.questions={folder / 'world/train.jsonl'}",
            "teacher.backend=replay",
            f"teacher.recordings={folder / 'world/chains.train.jsonl'}",
            f"teacher.model={base_model}",
            f"train.model={base_model}",
            "train.epochs=1",
            "train.batch=4",
            "train.workers=2",
            "train.pack_tokens=1024",
            "train.learning_rate=1e-4",
            "train.held_out_share=0.2",
            f"evaluate.questions={folder / 'world/held_out.jsonl'}",
            "student.context_tokens=2048",
            "student.kv_cache_gib=0.5",
            "loop.rationale_tokens=32",
        ],
    )


def test_a_world_goes_from_corpus_to_scored_answers(config: Config) -> None:
    folder = config.run.folder
    build(config)
    made = generate(config)
    assert made.counts["used"] == 8
    result = train(config)
    assert (result.weights / "steper.json").exists()
    updates = [json.loads(line) for line in (folder / "train/metrics.jsonl").read_text().splitlines()]
    totals = [line["total"] for line in updates if "total" in line]
    assert len(totals) == result.updates
    where = {name: number for name, number in result.counts.items() if name != "samples"}
    assert sum(where.values()) == result.counts["samples"] == made.counts["samples"]
    # The trained weights go through vLLM, with the loop settings that their card carries.
    scores = evaluate(config)
    assert scores.quality.questions == 3
    rows = list(read_rows(folder / "evaluate/trajectories", TRAJECTORIES))
    assert len(rows) == 3
    assert all(step["prompt_tokens"] > 0 for row in rows for step in row["steps"])
    assert any(step["cached_tokens"] > 0 for row in rows for step in row["steps"]), "turns share their prefix"
    pictures = [path for path in report(config) if path.suffix == ".png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert pictures


def test_an_untrained_teacher_on_vllm_finishes_every_question(config: Config, tmp_path: Path, base_model: Path) -> None:
    teacher = {**config.teacher.model_dump(), "backend": "vllm", "context_tokens": 2048, "kv_cache_gib": 0.5}
    section = {**config.generate.model_dump(), "folder": tmp_path / "generate", "limit": 2}
    counts = generate(Config.model_validate({**config.model_dump(), "teacher": teacher, "generate": section})).counts
    assert counts["asked"] == counts["finished"] + sum(counts["failed"].values()) + counts["not_started"]
    assert counts["finished"] == 2
