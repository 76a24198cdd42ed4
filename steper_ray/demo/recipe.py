"""The recipe of the shipped teacher: `python -m steper_ray.demo.recipe FOLDER`, about half an hour on two cores.

A world of another seed than the demo's gives annotated chains; `replay` turns them into trajectories with real
retrieval, and the pipeline's own training fits a LoRA adapter to them. So the teacher has seen the kinds of questions,
but not one name of the demo's world.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from steper_ray.config import Config, load_config
from steper_ray.demo.model import MODEL_NAME, ensure_base_model
from steper_ray.demo.writer import write_world
from steper_ray.runs import write_json

ADAPTER = Path(__file__).with_name("teacher")
SEED, PASSAGES, CHAINS = 1009, 12_000, 900

_SETTINGS = (
    "run.seed=1009",
    "loop.layout=turns",
    "loop.target=step",
    "teacher.backend=replay",
    "train.preset=multitask",
    "train.lora_rank=8",
    "train.lora_alpha=32",
    "train.learning_rate=1e-3",
    "train.epochs=1",
    "train.batch=4",
    "train.pack_tokens=1024",
    "train.workers=2",
    "train.held_out_share=0.02",
)


def make_teacher(folder: Path, *overrides: str) -> Path:
    """Train the teacher in a run folder and copy its adapter into the package.

    Raises:
        SteperError: a phase failed; the same command continues.
    """
    from steper_ray.generate.run import generate
    from steper_ray.index.run import build
    from steper_ray.train.run import train

    base = ensure_base_model()
    write_world(folder / "world", SEED, PASSAGES, CHAINS, 1)
    config = _config(folder, base, *overrides)
    if not config.folder("index").exists():
        build(config)
    generate(config)
    result = train(config)
    return _ship(result.weights / "adapter", folder)


def _config(folder: Path, base: Path, *overrides: str) -> Config:
    world = folder / "world"
    paths = (
        f"run.folder={folder}",
        f"index.corpus={world / 'corpus.jsonl'}",
        f"generate.questions={world / 'train.jsonl'}",
        f"teacher.recordings={world / 'chains.train.jsonl'}",
        f"train.model={base}",
    )
    return load_config(None, [*_SETTINGS, *paths, *overrides])


def _ship(adapter: Path, folder: Path) -> Path:
    """Copy the adapter, in bf16 to halve it, with what it was made from."""
    import torch
    from safetensors.torch import load_file, save_file

    ADAPTER.mkdir(exist_ok=True)
    weights = {
        name: value.to(torch.bfloat16) for name, value in load_file(adapter / "adapter_model.safetensors").items()
    }
    save_file(weights, ADAPTER / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    write_json(ADAPTER / "adapter_config.json", {**settings, "base_model_name_or_path": MODEL_NAME})
    counts = json.loads((folder / "train" / "manifest.json").read_text(encoding="utf-8"))["counts"]
    lines = (folder / "world" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    hops = Counter(json.loads(line)["metadata"]["hops"] for line in lines)
    world = {"seed": SEED, "passages": PASSAGES, "chains": CHAINS, "chains_by_hops": dict(sorted(hops.items()))}
    write_json(ADAPTER / "made.json", {"world": world, "settings": _SETTINGS, "samples": counts})
    return ADAPTER


if __name__ == "__main__":
    print(make_teacher(Path(sys.argv[1]), *sys.argv[2:]))
