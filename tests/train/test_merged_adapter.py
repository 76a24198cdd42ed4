"""A LoRA adapter by itself is evaluated as the weights that it and its base make."""

import json
import shutil
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.core.chat import load_chat_format
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.samples import samples_of
from steper_ray.core.types import LoopSettings
from steper_ray.data.contamination import Contamination, hash_line, read_hashes, write_hashes
from steper_ray.errors import InputError
from steper_ray.evaluate.choice import chosen_model
from steper_ray.evaluate.run import evaluate
from steper_ray.student.card import WeightsCard, read_card, write_card
from steper_ray.student.choice import chosen_student, student_loop
from tests.train.tiny import trajectory, write_model, write_samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base/`, and `weights/adapter/` as a training on one question leaves it, with card and hashes beside it."""
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
    write_hashes(folder / "weights", [hash_line(trajectory(0).question)])
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
    hashes = read_hashes(student.model)
    assert hashes is not None
    assert hashes == read_hashes(folder / "weights")
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


@pytest.mark.ray
def test_an_adapters_evaluation_scores_the_merged_weights_and_knows_their_questions(
    folder: Path, tmp_path: Path, ray_cluster: None
) -> None:
    asked = [trajectory(number).question for number in (0, 1)]
    questions = [{"id": one.id, "question": one.text, "golden_answers": list(one.golden_answers)} for one in asked]
    chains = [{"id": one.id, "steps": [{"rationale": f"So the answer is: {one.golden_answers[0]}."}]} for one in asked]
    for name, rows in (("questions", questions), ("chains", chains)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_samples(tmp_path / "samples")
    adapter = [f"student.model={folder / 'weights' / 'adapter'}", f"student.base={folder / 'base'}"]
    merged = chosen_model(load_config(None, [f"run.folder={folder}", *adapter])).model
    # The merged weights are scored; what they would answer is recorded, since no engine of the right size is cheap.
    told = [
        f"run.folder={tmp_path}",
        f"student.model={merged}",
        "student.backend=replay",
        f"student.recordings={tmp_path / 'chains.jsonl'}",
        "evaluate.system=closed_book",
        f"evaluate.questions={tmp_path / 'questions.jsonl'}",
        f"evaluate.samples={tmp_path / 'samples'}",
        "train.compute_dtype=float32",
    ]
    scores = evaluate(load_config(None, told))
    assert scores.contamination == Contamination(questions=2, trained=1, by_id=1, by_text=1, either=1)
    found = {stage: score.loss for stage, score in scores.stages.items()}
    to_adapted, to_base = (
        sum(abs(found[stage] - loss) for stage, loss in losses(folder, adapted=adapted).items())
        for adapted in (True, False)
    )
    # Merged weights are rounded to the base's type.
    assert to_adapted < to_base / 4, (to_adapted, to_base)


def losses(folder: Path, *, adapted: bool) -> dict[str, float]:
    """Of each stage, by the base model in float32, with the adapter or without."""
    import torch
    from peft import PeftModel

    from steper_ray.student.metrics import stage_metrics
    from steper_ray.student.model import load_whole
    from steper_ray.student.units import appended_units

    model = load_whole(folder / "base", torch.device("cpu"), torch.float32)
    if adapted:
        model = PeftModel.from_pretrained(model, str(folder / "weights" / "adapter")).merge_and_unload()
    chat, how = load_chat_format(folder / "base"), LoopSettings()
    units = [unit for number in range(40) for unit in appended_units(samples_of(trajectory(number), how), chat)]
    return {stage.value: metric.loss for stage, metric in stage_metrics(model, units, 16384).items()}


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
