"""What `steper serve` refuses before anything starts."""

import json
import socket
from pathlib import Path

import pytest

from steper_ray.backends.index_facts import LUCENE_FOLDER, IndexFacts, write_facts
from steper_ray.config import Config, load_config
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import Layout, LoopSettings
from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.serve.plan import plan_service
from steper_ray.serve.run import serve
from steper_ray.student.card import WeightsCard, write_card


def config(folder: Path, *overrides: str) -> Config:
    return load_config(None, [f"run.folder={folder}", *overrides])


def scripted(folder: Path, *overrides: str) -> Config:
    return config(folder, "student.backend=scripted", *overrides)


def with_index(folder: Path) -> None:
    (folder / "index" / LUCENE_FOLDER).mkdir(parents=True)
    write_facts(folder / "index", IndexFacts(1, "digest", "en", "analyzer", 0.9, 0.4))


def with_weights(folder: Path, card: WeightsCard) -> None:
    weights = folder / "train" / "weights"
    weights.mkdir(parents=True)
    (weights / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (weights / "tokenizer.json").write_text("{}")
    (weights / "model.safetensors").write_text("")
    write_card(weights, card)


def card(loop: LoopSettings, prompt_version: str = PROMPT_VERSION) -> WeightsCard:
    return WeightsCard(loop=loop, prompt_version=prompt_version, preset="steper", sigmas=(1.0, 1.0, 1.0))


def test_a_plan_holds_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_index(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan = plan_service(scripted(Path(), "loop.k=7"))
    assert plan.index == tmp_path / "index"
    assert plan.how.k == 7


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no weights in .*train/weights; run `steper train` first"):
        plan_service(config(tmp_path))


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no index in"):
        plan_service(scripted(tmp_path))


def test_another_loop_than_the_trained_one_is_refused(tmp_path: Path) -> None:
    with_weights(tmp_path, card(LoopSettings(layout=Layout.APPENDED)))
    with pytest.raises(ConfigError, match=r"loop\.layout is turns, trained with appended"):
        plan_service(config(tmp_path, "loop.layout=turns"))


def test_another_prompt_version_is_refused(tmp_path: Path) -> None:
    with_weights(tmp_path, card(LoopSettings(), prompt_version="0"))
    with pytest.raises(ConfigError, match="prompt version '0'"):
        plan_service(config(tmp_path))


def test_a_port_in_use_is_named_before_ray_starts(tmp_path: Path) -> None:
    with_index(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"serve\.port={port} cannot be listened on"):
            serve(scripted(tmp_path, f"serve.port={port}"), block=False)


def test_an_engine_may_be_silent_no_longer_than_a_question_may_take(tmp_path: Path) -> None:
    with_index(tmp_path)
    assert plan_service(scripted(tmp_path, "serve.deadline_s=50")).student.watchdog_s == 50
    assert plan_service(scripted(tmp_path, "serve.deadline_s=500")).student.watchdog_s == 240
