"""What an ablation evaluates are the weights that it trained: SmolLM2, two updates, vLLM, a `cumulative` student."""

import json
from pathlib import Path

import pytest

from steper_ray.backends.model_folder import model_identity
from steper_ray.config import load_config
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.demo.writer import write_world
from steper_ray.experiments.ablate import ablate
from steper_ray.generate.run import generate
from steper_ray.index.run import build

pytestmark = [
    pytest.mark.ray,
    pytest.mark.lucene,
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_cluster"),
]


def test_the_weights_that_were_trained_are_those_that_are_evaluated(tmp_path: Path, base_model: Path) -> None:
    world = tmp_path / "world"
    write_world(world, seed=3, passages=400, train_questions=6, held_out_questions=2)
    config = load_config(
        None,
        [
            f"run.folder={tmp_path}",
            f"index.corpus={world / 'corpus.jsonl'}",
            "loop.k=2",
            "loop.rationale_tokens=24",
            f"generate.questions={world / 'train.jsonl'}",
            "teacher.backend=replay",
            f"teacher.recordings={world / 'chains.train.jsonl'}",
            f"train.model={base_model}",
            "train.batch=2",
            "train.pack_tokens=1024",
            "train.learning_rate=1e-4",
            "train.held_out_share=0",
            "train.trackers=[]",
            "student.context_tokens=2048",
            "student.kv_cache_gib=0.5",
            f"evaluate.questions={world / 'held_out.jsonl'}",
            "ablate.members=[steper]",
            "ablate.controls=[updates]",
            "ablate.updates=2",
        ],
    )
    build(config)
    generate(config)
    (outcome,) = ablate(config)
    assert (outcome.course.updates, outcome.questions) == (2, 2)
    (member,) = (tmp_path / "ablate" / "members").iterdir()
    weights, evaluated = member / "train" / "weights", member / "evaluate-multi_step"
    loaded = json.loads((evaluated / "fingerprint.json").read_text())
    trained, untrained = model_identity(weights), model_identity(base_model)
    assert trained.items() <= loaded["model"].items()
    assert trained["model.safetensors"] != untrained["model.safetensors"]
    assert loaded["loop"]["target"] == "cumulative"
    rows = list(read_rows(evaluated / "trajectories", TRAJECTORIES))
    assert len(rows) == 2
    # Five steps of 24 tokens may all be written in each of them.
    assert loaded["room"] == 120
    assert all(0 < step["completion_tokens"] <= 120 for row in rows for step in row["steps"])
