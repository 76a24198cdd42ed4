"""What is refused before a training starts, and what the message says."""

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.config import Config, load_config
from steper_ray.core.types import Layout, LoopSettings, Message, Prompt, Sample, Stage, Target
from steper_ray.data.schemas import SAMPLES, sample_row
from steper_ray.errors import ConfigError, InputError, RunFolderError
from steper_ray.runs import Manifest, write_manifest
from steper_ray.train.inputs import absent_stages, check_inputs, claim_train_folder, warn_absent_stages
from steper_ray.train.plan import make_plan
from steper_ray.train.run import count_samples

PROVENANCE = {"model": "m", "prompt_version": "1", "fingerprint": "f"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 2048}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").touch()
    return folder


def samples(folder: Path, how: LoopSettings, *stages: Stage) -> Path:
    folder.mkdir()
    prompt = Prompt((Message("user", "prompt"),))
    made = [Sample("q", 0, step, stage, prompt, "target", "gold", ()) for step, stage in enumerate(stages, start=1)]
    table = pa.Table.from_pylist([sample_row(sample, PROVENANCE) for sample in made], schema=SAMPLES)
    pq.write_table(table, folder / "part-0.parquet")
    write_manifest(folder, Manifest("samples", "f", {}, {"loop": asdict(how), "prompt_version": "1"}))
    return folder


def config_of(tmp_path: Path, *changes: str) -> Config:
    return load_config(None, [f"run.folder={tmp_path}", f"train.model={tmp_path / 'model'}", *changes])


def test_good_inputs_say_what_they_are(tmp_path: Path, model: Path) -> None:
    how = LoopSettings(k=3)
    folder = samples(tmp_path / "s", how, Stage.INITIALIZATION, Stage.AGGREGATION)
    found = check_inputs(config_of(tmp_path, f"train.samples={folder}"))
    assert found.loop == how
    assert (found.count, found.context_tokens, found.prompt_version) == (2, 2048, "1")


def test_samples_made_again_by_other_rules_are_other_samples(tmp_path: Path, model: Path) -> None:
    folder = samples(tmp_path / "s", LoopSettings(), Stage.INITIALIZATION, Stage.AGGREGATION)
    config = config_of(tmp_path, f"train.samples={folder}")
    before = check_inputs(config).fingerprint
    assert check_inputs(config).fingerprint == before
    facts = {"loop": asdict(LoopSettings()), "prompt_version": "1", "rules": {"keep_paths": 1}}
    write_manifest(folder, Manifest("samples", "f", {}, facts))
    assert check_inputs(config).fingerprint != before


def test_a_missing_model_is_named_as_a_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.model is missing"):
        check_inputs(load_config(None, [f"run.folder={tmp_path}"]))


def test_a_model_without_weights_is_refused(tmp_path: Path, model: Path) -> None:
    (model / "model.safetensors").unlink()
    with pytest.raises(InputError, match="safetensors"):
        check_inputs(config_of(tmp_path))


def test_missing_samples_name_the_command_that_makes_them(tmp_path: Path, model: Path) -> None:
    with pytest.raises(RunFolderError, match="run `steper generate` first"):
        check_inputs(config_of(tmp_path))


def test_no_sample_at_all_is_refused(tmp_path: Path, model: Path) -> None:
    folder = samples(tmp_path / "s", LoopSettings())
    with pytest.raises(InputError, match="holds no sample"):
        check_inputs(config_of(tmp_path, f"train.samples={folder}"))


def test_vanilla_kd_wants_appended_cumulative_samples(tmp_path: Path, model: Path) -> None:
    turns = samples(tmp_path / "turns", LoopSettings(), Stage.AGGREGATION)
    with pytest.raises(ConfigError, match=r"found turns and step in .*samples\.layout=appended samples\.target="):
        check_inputs(config_of(tmp_path, f"train.samples={turns}", "train.preset=vanilla_kd"))
    cumulative = LoopSettings(layout=Layout.APPENDED, target=Target.CUMULATIVE)
    whole = samples(tmp_path / "whole", cumulative, Stage.AGGREGATION)
    check_inputs(config_of(tmp_path, f"train.samples={whole}", "train.preset=vanilla_kd"))
    first = samples(tmp_path / "first", cumulative, Stage.INITIALIZATION)
    with pytest.raises(InputError, match="no sample of the stages that vanilla_kd trains"):
        check_inputs(config_of(tmp_path, f"train.samples={first}", "train.preset=vanilla_kd"))


def test_a_train_folder_belongs_to_one_training(tmp_path: Path, model: Path) -> None:
    folder = samples(tmp_path / "s", LoopSettings(), Stage.AGGREGATION)
    first = config_of(tmp_path, f"train.samples={folder}")
    inputs = check_inputs(first)
    fingerprint = claim_train_folder(tmp_path, first, inputs)
    more_workers = config_of(tmp_path, f"train.samples={folder}", "train.workers=4", "train.checkpoint_every=7")
    assert claim_train_folder(tmp_path, more_workers, inputs) == fingerprint
    other = config_of(tmp_path, f"train.samples={folder}", "train.batch=2", "run.seed=5")
    with pytest.raises(RunFolderError, match=r"run\.seed was 0, is 5; train\.batch was 8, is 2; name another"):
        claim_train_folder(tmp_path, other, inputs)


def test_the_counts_of_a_plan_add_up_to_all_samples() -> None:
    # Units of 3, 2, 1, 4 and 1 samples: one too long, one not of the preset, one update of one unit.
    plan = make_plan(
        [10, 10, 99, 10, 10],
        ["a", "b", "c", "d", "e"],
        seed=0,
        epochs=1,
        batch=1,
        pack_tokens=50,
        limit=1,
        usable=[True, True, True, True, False],
    )
    counts = count_samples(plan, [3, 2, 1, 4, 1])
    assert sum(counts.values()) == 11
    assert counts["dropped_too_long"] == 1
    assert counts["not_in_preset"] == 1
    assert counts["trained"] + counts["not_reached"] == 9
    assert counts["trained"] in (2, 3, 4)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["train.workers=2", "train.workers_min=3"], r"train\.workers_min=3 exceeds train\.workers=2"),
        (["train.cpu_offload=true"], r"train\.cpu_offload=true needs GPUs"),
        (["train.patience=2", "train.held_out_share=0"], r"train\.patience goes by the held-out loss"),
        (["train.export=best", "train.held_out_share=0"], r"train\.export goes by the held-out loss"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_config(None, settings)


def test_a_stage_without_samples_is_named_and_only_if_the_preset_trains_it(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert absent_stages("steper", {"reasoning_initialization": 2, "reasoning_aggregation": 2}) == [Stage.EXPANSION]
    assert absent_stages("vanilla_kd", {"reasoning_aggregation": 2}) == []
    folder = samples(tmp_path / "s", LoopSettings(), Stage.AGGREGATION)
    config = config_of(tmp_path, f"train.samples={folder}")
    warn_absent_stages(config, check_inputs(config))
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert "no sample of reasoning_initialization and reasoning_expansion; training goes on without" in told


def test_nothing_is_said_when_all_stages_are_there(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = samples(tmp_path / "s", LoopSettings(), Stage.INITIALIZATION, Stage.EXPANSION, Stage.AGGREGATION)
    config = config_of(tmp_path, f"train.samples={folder}")
    warn_absent_stages(config, check_inputs(config))
    assert capsys.readouterr().out == ""
