"""A LoRA adapter by itself is evaluated as the weights that it and its base make."""

import shutil
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import LoopSettings
from steper_ray.errors import InputError
from steper_ray.student.card import WeightsCard, read_card, write_card
from steper_ray.student.choice import chosen_student, student_loop
from tests.train.tiny import write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base/`, and `weights/adapter/` as a training leaves it, with the card beside it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter")
    write_model(folder / "base")
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    model = get_peft_model(base, LoraConfig(target_modules=["q_proj", "down_proj"]))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(1.0)
    model.save_pretrained(str(folder / "weights" / "adapter"))
    write_card(folder / "weights", WeightsCard(LoopSettings(k=3), PROMPT_VERSION, "steper", (1.0, 1.0, 1.0)))
    return folder


def test_an_adapter_is_merged_once_and_keeps_its_loop(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter = folder / "weights" / "adapter"
    config = load_config(None, [f"run.folder={folder}", f"student.model={adapter}", f"student.base={folder / 'base'}"])
    student = chosen_student(config)
    assert student.model is not None
    assert student.model.parent == folder / "merged"
    assert "merging the adapter" in capsys.readouterr().out
    assert student_loop(config, student).k == 3
    assert read_card(student.model) == read_card(folder / "weights")
    assert AutoTokenizer.from_pretrained(student.model).chat_template

    tokens = torch.arange(12)[None]
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    before = base(tokens).logits
    adapted = PeftModel.from_pretrained(base, str(adapter))(tokens).logits
    merged = AutoModelForCausalLM.from_pretrained(student.model, dtype=torch.float32)(tokens).logits
    assert not torch.allclose(before, adapted, atol=1e-2)
    torch.testing.assert_close(merged, adapted, rtol=5e-2, atol=5e-2)

    assert chosen_student(config).model == student.model
    assert "merging" not in capsys.readouterr().out


def test_an_adapter_whose_base_is_not_here_asks_for_it(folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(folder / "weights" / "adapter", adapter)
    path = adapter / "adapter_config.json"
    path.write_text(path.read_text().replace(str(folder / "base"), "someone/model"))
    config = load_config(None, [f"run.folder={tmp_path}", f"student.model={adapter}"])
    with pytest.raises(InputError, match=r"field 'base_model_name_or_path'.*found 'someone/model'.*Set student\.base"):
        chosen_student(config)
    (adapter / "adapter_model.safetensors").unlink()
    with_base = load_config(
        None, [f"run.folder={tmp_path}", f"student.model={adapter}", f"student.base={folder / 'base'}"]
    )
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors"):
        chosen_student(with_base)
