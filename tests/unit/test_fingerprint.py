"""What the fingerprint of trajectories depends on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steper_ray.core.types import Layout, LoopSettings, Prompt, Question, Step, StopReason, System, Target, Trajectory
from steper_ray.drive import fingerprint
from steper_ray.drive.fingerprint import fingerprint_of, fingerprint_parts
from steper_ray.sections.model import ModelSection

STEP = LoopSettings(rationale_tokens=48, step_limit=5)
CUMULATIVE = LoopSettings(rationale_tokens=48, step_limit=5, layout=Layout.APPENDED, target=Target.CUMULATIVE)
SHOWN = Trajectory(Question("d", "Who?"), 0, (Step("Who?", (), (), "So the answer is: x"),), "x", StopReason.ANSWERED)
FILES = {"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": "\0" * 8 + "0123456789"}  # no header


class Chat:
    """A chat format that writes the length of each message behind an id of its own."""

    def __init__(self, id: int) -> None:
        self._id = id

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        return [self._id, *(len(message.content) for message in prompt.messages)]


def parts(how: LoopSettings = STEP, system: System = System.MULTI_STEP, **given: Any) -> dict[str, Any]:
    chat, shown, index = given.pop("chat", None), given.pop("demonstrations", ()), given.pop("index", {})
    return fingerprint_parts(how, ModelSection(**{"backend": "scripted", **given}), chat, shown, index, system)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Recordings a, b and a copy of a; a model's folder with a copy, and one for each file that differs."""
    for name, text in {"a": "one", "b": "two", "copy": "one"}.items():
        (tmp_path / name).write_text(text)
    for other in ("model", "model-copy", *FILES):
        folder = tmp_path / f"of-{other}"
        folder.mkdir()
        for name, text in FILES.items():
            # Same size, so that only the contents tell them apart.
            (folder / name).write_text(text.swapcase().replace("0", "1").replace("{}", "[]") if name == other else text)
    return tmp_path


def model(folder: str, **settings: Any) -> dict[str, Any]:
    return {"backend": "vllm", "model": folder, **settings}


@pytest.mark.parametrize(
    ("one", "other", "part"),
    [
        ({}, {"how": replace(STEP, k=5)}, "loop"),
        ({"chat": Chat(0)}, {"chat": Chat(1)}, "probe"),
        ({}, {"chat": Chat(0)}, "probe"),
        ({}, {"temperature": 0.7}, "temperature"),
        ({}, {"demonstrations": (SHOWN,)}, "demonstrations"),
        ({"demonstrations": (SHOWN,)}, {"demonstrations": (replace(SHOWN, answer="y"),)}, "demonstrations"),
        ({"index": {"corpus": "d", "k1": 0.9}}, {"index": {"corpus": "d", "k1": 1.2}}, "index"),
        ({}, {"scripted_steps": 4}, "model"),
        ({"backend": "replay", "recordings": "a"}, {"backend": "replay", "recordings": "b"}, "model"),
        *((model("of-model"), model(f"of-{file}"), "model") for file in FILES),
        # What another backend would repeat says nothing about this one.
        (model("of-model", recordings="a"), model("of-model.safetensors", recordings="a"), "model"),
        (model("of-model"), model("of-model", dtype="float32"), "model"),
        (model("of-model"), model("of-model", context_tokens=512), "model"),
        ({"backend": "openai", "endpoint_model": "m"}, {"backend": "openai", "endpoint_model": "n"}, "model"),
        ({"backend": "openai"}, {"backend": "openai", "endpoint_api": "completions"}, "model"),
        ({"backend": "service", "url": "http://a"}, {"backend": "service", "url": "http://b"}, "model"),
        ({"system": System.CLOSED_BOOK}, {"system": System.ONE_STEP}, "direct"),
    ],
)
def test_each_thing_that_changes_the_contents_changes_its_part(
    one: dict[str, Any], other: dict[str, Any], part: str, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(there)
    first, second = parts(**one), parts(**other)
    assert {name for name in first if first[name] != second[name]} - {"system"} == {part}
    assert fingerprint_of(first) != fingerprint_of(second)


@pytest.mark.parametrize("version", ["PROMPT_VERSION", "SCHEMA_VERSION"])
def test_a_new_version_of_prompts_or_rows_changes_it(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = parts()
    monkeypatch.setattr(fingerprint, version, "another")
    assert fingerprint_of(parts()) != fingerprint_of(before)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"backend": "replay", "recordings": "a"}, {"backend": "replay", "recordings": "copy"}),
        (model("of-model"), model("of-model-copy")),
        (model("of-model"), model("of-model", max_batch=7, engine="async", kv_cache_gib=3.0, gpus=1)),
        ({"backend": "openai", "url": "http://a"}, {"backend": "openai", "url": "http://b", "endpoint_retries": 1}),
        ({}, {"scripted_latency_s": 2.0}),
    ],
)
def test_places_and_speed_change_nothing(
    one: dict[str, Any], other: dict[str, Any], there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(there)
    assert parts(**one) == parts(**other)


def test_the_room_of_a_completion_counts_where_it_may_hold_a_whole_chain() -> None:
    assert "room" not in parts(STEP)
    assert parts(CUMULATIVE)["room"] == parts(STEP, System.ONE_STEP)["room"] == 240
    assert "room" not in parts(CUMULATIVE, System.CLOSED_BOOK)
