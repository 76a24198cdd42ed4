import json
from pathlib import Path

import pytest

from steper_ray.backends.model_folder import check_model_folder, model_identity
from steper_ray.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_config_tokenizer_and_weights_make_a_model_folder(folder: Path) -> None:
    check_model_folder(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [("config.json", "config.json"), ("tokenizer.json", "no tokenizer"), ("model.safetensors", "no \\*.safetensors")],
)
def test_a_missing_part_is_named(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=message):
        check_model_folder(folder)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_config_that_says_nothing_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        check_model_folder(folder)


def test_a_hub_name_is_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not by its hub name"):
        check_model_folder(tmp_path / "meta-llama" / "Llama-3.1-8B")


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    weights = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    with pytest.raises(InputError, match=r"1 of 2 weight files are missing.*model-00002-of-00002"):
        check_model_folder(folder)


def test_two_trainings_of_one_architecture_are_told_apart(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}).encode()
    for name, byte in (("first", b"\0"), ("second", b"\1"), ("again", b"\0")):
        (tmp_path / name).mkdir()
        content = len(header).to_bytes(8, "little") + header + byte * 4000
        (tmp_path / name / "model.safetensors").write_bytes(content)
    first, second, again = (model_identity(tmp_path / name) for name in ("first", "second", "again"))
    assert first == again
    assert first != second
