"""docs/training.md and the configurations it names: every setting is explained, every file is valid and fits."""

import re
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.sections.train import TrainSection
from steper_ray.train.estimate import HeaviestPack, estimate
from steper_ray.train.facts import ModelFacts
from steper_ray.train.room import holding_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
CONFIGS = sorted((ROOT / "jobs" / "configs").glob("train-*.yaml"))
GIB = 2**30

PROJECTIONS = {
    "q_proj": (4096, 4096),
    "k_proj": (1024, 4096),
    "v_proj": (1024, 4096),
    "o_proj": (4096, 4096),
    "gate_proj": (14336, 4096),
    "up_proj": (14336, 4096),
    "down_proj": (4096, 14336),
}
LAYER = sum(outputs * inputs for outputs, inputs in PROJECTIONS.values()) + 2 * 4096
LLAMA_8B = ModelFacts(
    layers=32,
    layer_parameters=LAYER,
    body_parameters=32 * LAYER,
    rest_parameters=2 * 128256 * 4096 + 4096,
    hidden=4096,
    intermediate=14336,
    heads=32,
    queries=4096,
    keys=1024,
    vocabulary=128256,
    matrices={f"model.layers.{layer}.{name}": shape for layer in range(32) for name, shape in PROJECTIONS.items()},
)


def test_the_llama_of_these_tests_is_the_one_of_eight_billion() -> None:
    assert LLAMA_8B.parameters == 8_030_261_248


def test_every_setting_of_the_section_is_in_the_table() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", PAGE.split("## All settings")[1].split("\n## ")[0], re.MULTILINE))
    assert set(TrainSection.model_fields) <= explained


def test_the_page_names_every_configuration() -> None:
    assert {path.name for path in CONFIGS} == set(re.findall(r"jobs/configs/(train-[\w-]+\.yaml)`", PAGE))
    assert len(CONFIGS) == 4


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_is_valid(path: Path) -> None:
    section = load_config(path).train
    assert section.batch >= section.workers
    assert (section.gpus_per_worker > 0) == ("gpu" in path.stem)


@pytest.mark.parametrize("path", [path for path in CONFIGS if "gpu" in path.stem], ids=lambda path: path.stem)
def test_an_8b_student_fits_its_gpus(path: Path) -> None:
    section = load_config(path).train
    full = HeaviestPack(section.pack_tokens, section.pack_tokens // 4, 0)
    assert estimate(LLAMA_8B, holding_of(section, LLAMA_8B), full).total < 0.85 * 80 * GIB


def test_all_weights_of_an_8b_student_do_not_fit_one_gpu() -> None:
    section = load_config(ROOT / "jobs" / "configs" / "train-1gpu.yaml", ["train.lora_rank=0"]).train
    full = HeaviestPack(section.pack_tokens, section.pack_tokens // 4, 0)
    assert estimate(LLAMA_8B, holding_of(section, LLAMA_8B), full).least > 80 * GIB
