"""README.md of a weights folder: settings, σ, losses, data, how to serve, licence; no path of this machine."""

import json
from pathlib import Path

import pytest
import yaml

from steper_ray.core.types import LoopSettings
from steper_ray.student.card import WeightsCard
from steper_ray.train.journal import Journal
from steper_ray.train.model_card import model_card

CARD = WeightsCard(LoopSettings(k=3), "1", "steper", (0.5, 0.75, 0.25))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    journal = Journal(tmp_path)
    for update, agg in ((1, 0.9), (1200, 0.125)):
        journal.write({"update": update, "total": 0.1, "L_init": 0.5, "L_exp": None, "L_agg": agg})
    journal.write({"update": 1200, "held_out": {"L_agg": 0.25, "accuracy_agg": 0.875, "selection": 0.25}})
    identity = {
        "run.seed": 7,
        "train.batch": 4,
        "train.lora_targets": ".*(q|v)_proj",
        "model": "m1",
        "samples": "s1, 9 samples",
    }
    (tmp_path / "identity.json").write_text(json.dumps(identity))
    return tmp_path


def base(tmp_path: Path, readme: str = "") -> Path:
    place = tmp_path / "models" / "Llama-3.1-8B"
    place.mkdir(parents=True)
    if readme:
        (place / "README.md").write_text(readme)
    return place


def test_the_page_says_what_was_trained_how_and_on_what(folder: Path) -> None:
    page = model_card(folder, base(folder), CARD, picture="curves.png")
    assert "Weights of update 1,200. Preset `steper`" in page
    assert "| reasoning_initialization | 0.5000 | 0.5000 | – | – |" in page
    assert "| reasoning_expansion | 0.7500 | – | – | – |" in page
    assert "| reasoning_aggregation | 0.2500 | 0.1250 | 0.2500 | 87.5% |" in page
    assert "train.batch: 4" in page
    assert "`s1, 9 samples`" in page
    assert "steper serve    student.model=THIS_FOLDER" in page
    assert "(curves.png)" in page
    assert "k: 3" in page
    assert str(folder) not in page


def test_weights_of_an_earlier_update_are_described_by_it(folder: Path) -> None:
    page = model_card(folder, base(folder), CARD, update=1)
    assert "Weights of update 1." in page
    assert "| reasoning_aggregation | 0.2500 | 0.9000 | – | – |" in page
    assert "curves.png" not in page


def test_the_licence_is_that_of_the_base_model(folder: Path) -> None:
    readme = "---\nlicense: llama3.1\nlanguage: en\n---\n# Llama\n"
    page = model_card(folder, base(folder, readme), CARD)
    front = yaml.safe_load(page.split("---")[1])
    assert (front["license"], front["base_model"]) == ("llama3.1", "Llama-3.1-8B")
    assert "the licence of that model (llama3.1) applies" in page


@pytest.mark.parametrize("readme", ["", "no front matter", "---\nlicense: [", "---"])
def test_an_unknown_licence_is_called_so(folder: Path, readme: str) -> None:
    page = model_card(folder, base(folder, readme), CARD)
    assert yaml.safe_load(page.split("---")[1])["license"] == "other"
    assert "which its folder did not name, applies" in page


def test_a_bare_folder_still_gives_a_page(tmp_path: Path) -> None:
    page = model_card(tmp_path, base(tmp_path), CARD)
    assert "σ" in page
    assert "Settings" not in page
