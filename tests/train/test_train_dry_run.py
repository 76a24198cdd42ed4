"""`steper train --dry-run` on real samples and a small model: the plan is the training's, and nothing is trained."""

from pathlib import Path

import pytest

from steper_ray.errors import ConfigError
from steper_ray.train import room
from steper_ray.train.dry_run import dry_run, look_ahead
from tests.train.tiny import config_of, write_model, write_samples

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dry")
    write_samples(folder / "samples")
    write_model(folder / "model")
    return folder


def test_the_plan_is_printed_and_only_tokens_are_written(
    inputs: Path, tmp_path: Path, ray_cluster: None, capsys: pytest.CaptureFixture[str]
) -> None:
    dry_run(config_of(inputs, tmp_path))
    shown = capsys.readouterr().out
    assert "memory per worker, about" in shown
    assert "It fits." in shown
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.parent.name == "tokens"


def test_the_figures_are_those_of_the_samples(inputs: Path, tmp_path: Path, ray_cluster: None) -> None:
    found = look_ahead(config_of(inputs, tmp_path, "train.held_out_share=0", "train.epochs=3")).plan
    # 40 trajectories of 1, 2, 3 and 4 steps in turn, ten each.
    assert list(found.trained.values()) == [30, 30, 40]
    assert (found.units, found.updates_per_epoch, found.updates) == (40, 10, 30)
    assert 0 < found.target_tokens < found.tokens
    assert found.heaviest.tokens <= 4096


def test_what_cannot_fit_is_refused(
    inputs: Path, tmp_path: Path, ray_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "machine_memory", lambda: 2**29)
    with pytest.raises(ConfigError, match=r"each worker needs about .* and has 0\.2 GiB"):
        look_ahead(config_of(inputs, tmp_path))
