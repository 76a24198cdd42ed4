"""The exported folder: everything that loading, serving and understanding it takes."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from steper_ray.core.types import LoopSettings
from steper_ray.student.card import WeightsCard, read_card
from steper_ray.train.export import export_weights
from steper_ray.train.journal import Journal
from tests.train.tiny import write_model

CARD = WeightsCard(LoopSettings(), "1", "steper", (0.5, 0.75, 0.25))


def test_the_folder_holds_weights_tokenizer_settings_page_and_curves(tmp_path: Path) -> None:
    base, folder = tmp_path / "base", tmp_path / "train"
    write_model(base)
    folder.mkdir()
    sigmas = {f"sigma_{term}": 0.5 for term in ("init", "exp", "agg")}
    Journal(folder).write({"update": 1, "total": 0.1, "L_init": 0.5, "L_exp": 0.5, "L_agg": 0.5, **sigmas})
    norm = torch.full((64,), 1.5)
    weights = export_weights(folder, base, {"model.norm.weight": norm}, None, CARD)
    names = {path.name for path in weights.iterdir()}
    assert names >= {"model.safetensors", "config.json", "tokenizer.json", "generation_config.json", "steper.json"}
    assert names >= {"README.md", "curves.png", "chat_template.jinja"}
    stored = load_file(weights / "model.safetensors")
    assert stored["model.norm.weight"].dtype == torch.bfloat16
    assert torch.equal(stored["model.norm.weight"].float(), norm)
    assert read_card(weights) == CARD
    assert json.loads((weights / "generation_config.json").read_text())["eos_token_id"] == 2
    assert str(tmp_path) not in "".join(
        path.read_text() for path in weights.iterdir() if path.suffix in (".json", ".md", ".jinja")
    )


def test_without_a_journal_the_weights_come_without_curves(tmp_path: Path) -> None:
    base, folder = tmp_path / "base", tmp_path / "train"
    write_model(base)
    folder.mkdir()
    weights = export_weights(folder, base, {}, None, CARD)
    assert not (weights / "curves.png").exists()
    assert "curves.png" not in (weights / "README.md").read_text()
