"""What an ablation refuses before the hours that it takes."""

import json
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.core.types import LoopSettings
from steper_ray.errors import ConfigError, InputError, RunFolderError
from steper_ray.experiments.ablate import ablate
from steper_ray.experiments.checks import check_forms, checked_members
from steper_ray.experiments.members import parse_member
from steper_ray.runs import write_json


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Of an ablation that lacks an index alone."""
    model = tmp_path / "model"
    model.mkdir()
    for name, content in (("config.json", '{"model_type": "llama"}'), ("tokenizer.json", "{}")):
        (model / name).write_text(content)
    (model / "model.safetensors").write_bytes(b"")
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"id": "q", "question": "Who?", "golden_answers": ["a"]}) + "\n")
    (tmp_path / "generate").mkdir()
    write_json(tmp_path / "generate" / "fingerprint.json", {"loop": {}})
    return [f"run.folder={tmp_path}", f"train.model={model}", f"evaluate.questions={questions}"]


def test_what_is_usable_passes(settings: list[str]) -> None:
    assert [member.method for member in checked_members(load_config(None, settings))] == [
        "untrained",
        "vanilla_kd",
        "multitask",
        "steper",
    ]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train.patience=3", r"train\.patience=3 may end one member earlier"),
        ("train.export=best", r"train\.export=best takes the weights of another update"),
        ("student.demonstrations=builtin", r"student\.demonstrations is set"),
        ("student.backend=replay", r"student\.backend=replay cannot run the members' weights"),
        ("evaluate.paths=3", r"evaluate\.paths above 1 needs student\.temperature above 0"),
    ],
)
def test_settings_that_would_make_members_differ_are_refused(settings: list[str], override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        checked_members(load_config(None, [*settings, override]))


def test_questions_and_index_are_read_before_anything_is_made(settings: list[str], tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no index in"):
        ablate(load_config(None, settings))
    (tmp_path / "questions.jsonl").write_text('{"id": "q"}\n')
    with pytest.raises(InputError, match=r"questions\.jsonl"):
        ablate(load_config(None, settings))
    assert not (tmp_path / "ablate").exists()


def tokenizer(folder: Path, template: str | None) -> None:
    """Words alone, with an end-of-turn token for templates that write it."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({"~": 0, "<|end|>": 1, "\n": 2}, "~"))
    found = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>")
    found.chat_template = template
    found.save_pretrained(folder)


def refused(settings: list[str], members: str) -> str:
    """Why these members are refused; nothing when they are not."""
    config = load_config(None, [*settings, f"ablate.members=[{members}]"])
    try:
        check_forms(config, [parse_member(name) for name in config.ablate.members], LoopSettings())
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("members", "instead"),
    [
        ("untrained,vanilla_kd,multitask,steper", "untrained/appended,multitask/appended,steper/appended"),
        ("steper,steper/appended,steper/turns", "steper/appended,steper/turns"),
        ("untrained,vanilla_kd", "untrained/appended,steper/appended"),
    ],
)
def test_a_base_model_is_refused_for_cumulative_members_with_members_that_work(
    settings: list[str], tmp_path: Path, members: str, instead: str
) -> None:
    tokenizer(tmp_path / "model", None)
    told = refused(settings, members)
    assert "has no chat template of its own" in told
    assert told.endswith(f"; use ablate.members=[{instead}]")
    assert refused(settings, instead) == ""


def test_a_template_that_forgets_turns_is_refused_with_members_that_work(settings: list[str], tmp_path: Path) -> None:
    ends = "{{ message['content'] }}<|end|>"
    only_last = "{% for message in messages[-2:] %}" + ends + "{% endfor %}{% if add_generation_prompt %}A{% endif %}"
    tokenizer(tmp_path / "model", only_last)
    told = refused(settings, "steper,steper/turns")
    assert told.endswith("loop.layout=turns cannot be used with it; use ablate.members=[steper,steper/appended]")
    assert refused(settings, "steper,steper/appended") == ""
