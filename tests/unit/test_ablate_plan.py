"""Who is compared with whom, and for how long each is trained; all numbers by hand."""

import json
from pathlib import Path

import pytest

from steper_ray.config import Config, load_config
from steper_ray.core.loss import PRESETS
from steper_ray.core.types import Layout, LoopSettings, QueryForm, System, Target
from steper_ray.errors import ConfigError, InputError
from steper_ray.experiments.ablate import ablate
from steper_ray.experiments.configs import (
    changed,
    evaluation_config,
    held_out_config,
    samples_config,
    training_config,
)
from steper_ray.experiments.member_run import MemberRun
from steper_ray.experiments.members import (
    METHODS,
    Form,
    Member,
    Row,
    Size,
    Training,
    enough_epochs,
    equal_updates,
    parse_member,
    plan_rows,
    reference_of,
    trainings_of,
    usual_updates,
)
from steper_ray.runs import Manifest, write_manifest
from steper_ray.sections.ablate import Control

STEPER, VANILLA = parse_member("steper"), parse_member("vanilla_kd")
UNTRAINED, TURNS = parse_member("untrained"), parse_member("steper/turns")
SAMPLES = Size(units=300, target_tokens=9000)
"""100 trajectories of three steps, 30 target tokens each sample."""
FINAL = Size(units=100, target_tokens=4500)
"""Their last samples: 45 target tokens each."""


def test_a_member_is_a_method_and_a_form() -> None:
    assert Member("steper", Form.CUMULATIVE) == STEPER
    assert (STEPER.form.layout, STEPER.form.target) == (Layout.APPENDED, Target.CUMULATIVE)
    assert (TURNS.form.layout, TURNS.form.target) == (Layout.TURNS, Target.STEP)
    assert [str(member) for member in (STEPER, TURNS)] == ["steper", "steper/turns"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stepper", "unknown method 'stepper'"),
        ("steper/rounds", "unknown form 'rounds'"),
        ("steper/", "unknown form ''"),
        ("vanilla_kd/turns", "which only `cumulative` holds"),
    ],
)
def test_unknown_members_are_named(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_member(text)


def test_methods_train_the_stages_of_their_loss_presets() -> None:
    assert {name: preset.stages for name, preset in PRESETS.items()} == {
        name: stages for name, stages in METHODS.items() if stages
    }


def test_only_what_knows_no_steps_is_also_asked_with_one_retrieval() -> None:
    assert STEPER.systems == (System.MULTI_STEP,)
    assert VANILLA.systems == UNTRAINED.systems == (System.MULTI_STEP, System.ONE_STEP)


def test_steper_is_the_reference_unless_another_is_named() -> None:
    assert reference_of([UNTRAINED, STEPER, VANILLA], None) == STEPER
    assert reference_of([UNTRAINED, VANILLA, parse_member("multitask")], None) == parse_member("multitask")
    assert reference_of([STEPER, TURNS], "steper/turns") == TURNS
    with pytest.raises(ConfigError, match="trains nothing"):
        reference_of([UNTRAINED], None)
    with pytest.raises(ConfigError, match="none of the trained members: steper"):
        reference_of([UNTRAINED, STEPER], "untrained")


def test_updates_come_from_epochs_where_nobody_names_them() -> None:
    # 300 units less 5 % are 285: 36 updates of 8, twice.
    assert usual_updates(SAMPLES, batch=8, epochs=2, held_out_share=0.05) == 72


def test_equal_updates_are_equal_and_equal_tokens_are_fewer_updates_of_longer_units() -> None:
    assert equal_updates(Control.UPDATES, FINAL, SAMPLES, 72) == 72
    # 30 against 45 tokens per unit: 72 * 30 / 45.
    assert equal_updates(Control.TARGET_TOKENS, FINAL, SAMPLES, 72) == 48
    assert equal_updates(Control.TARGET_TOKENS, SAMPLES, SAMPLES, 72) == 72
    assert equal_updates(Control.TARGET_TOKENS, Size(1, 90_000), SAMPLES, 1) == 1


def test_there_are_epochs_enough_for_the_updates() -> None:
    # 100 units, 92 or more of them trained: at least 12 updates of 8 per epoch.
    epochs = enough_epochs(48, FINAL, batch=8, held_out_share=0.05)
    assert epochs == 5
    assert epochs * 12 >= 48


def test_the_rows_share_the_trainings_that_are_the_same_under_both_controls() -> None:
    updates = {
        (Control.UPDATES, VANILLA): 72,
        (Control.UPDATES, STEPER): 72,
        (Control.TARGET_TOKENS, VANILLA): 48,
        (Control.TARGET_TOKENS, STEPER): 72,
    }
    rows = plan_rows([UNTRAINED, VANILLA, STEPER], updates, [1, 2])
    assert [(row.control, str(row.member), row.system.value) for row in rows] == [
        (None, "untrained", "multi_step"),
        (None, "untrained", "one_step"),
        (Control.UPDATES, "vanilla_kd", "multi_step"),
        (Control.UPDATES, "vanilla_kd", "one_step"),
        (Control.UPDATES, "steper", "multi_step"),
        (Control.TARGET_TOKENS, "vanilla_kd", "multi_step"),
        (Control.TARGET_TOKENS, "vanilla_kd", "one_step"),
        (Control.TARGET_TOKENS, "steper", "multi_step"),
    ]
    assert [training.name for training in trainings_of(rows)] == [
        "vanilla_kd-cumulative-72-seed1",
        "steper-cumulative-72-seed1",
        "vanilla_kd-cumulative-48-seed1",
        "vanilla_kd-cumulative-72-seed2",
        "steper-cumulative-72-seed2",
        "vanilla_kd-cumulative-48-seed2",
    ]


# Configurations of the parts


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(
        None,
        [
            f"run.folder={tmp_path}",
            "loop.k=3",
            "loop.layout=turns",
            "train.model=start",
            "train.learning_rate=1e-4",
            "evaluate.questions=dev.json",
            "ablate.held_out=held",
        ],
    )


def test_samples_of_a_form_lie_in_a_folder_of_their_own(config: Config, tmp_path: Path) -> None:
    made = samples_config(config, Form.CUMULATIVE)
    assert (made.samples.layout, made.samples.target) == (Layout.APPENDED, Target.CUMULATIVE)
    assert made.folder("samples") == tmp_path / "ablate" / "samples" / "cumulative"
    assert made.folder("generate") == config.folder("generate")
    held = held_out_config(config, Form.TURNS)
    assert held.folder("generate") == Path("held")
    assert held.folder("samples") == tmp_path / "ablate" / "held_out" / "turns"
    assert held.loop.model_fields_set == set()


def test_a_training_differs_from_the_given_one_in_method_length_seed_and_places(config: Config, tmp_path: Path) -> None:
    made = training_config(config, Training(VANILLA, 48, 2), epochs=5)
    assert (made.train.preset, made.train.updates, made.train.epochs, made.run.seed) == ("vanilla_kd", 48, 5, 2)
    assert made.folder("train") == tmp_path / "ablate" / "members" / "vanilla_kd-cumulative-48-seed2" / "train"
    assert made.train.samples == tmp_path / "ablate" / "samples" / "cumulative"
    assert made.train.learning_rate == 1e-4


def test_trained_weights_know_their_loop_and_untrained_ones_get_that_of_the_trajectories(
    config: Config, tmp_path: Path
) -> None:
    how = LoopSettings(k=3, query_form=QueryForm.RATIONALE)
    training = Training(VANILLA, 48, 2)
    one = evaluation_config(config, VANILLA, training, System.ONE_STEP, how)
    assert one.loop.model_fields_set == set()
    place = tmp_path / "ablate" / "members" / training.name
    assert one.student.model == place / "train" / "weights"
    assert one.folder("evaluate") == place / "evaluate-one_step"
    assert one.evaluate.samples is None
    base = evaluation_config(config, UNTRAINED, None, System.MULTI_STEP, how)
    assert base.student.model == Path("start")
    assert base.loop.settings() == LoopSettings(
        layout=Layout.APPENDED, target=Target.CUMULATIVE, k=3, query_form=QueryForm.RATIONALE
    )
    assert base.evaluate.samples == tmp_path / "ablate" / "held_out" / "cumulative"


def test_a_row_of_what_is_not_trained_has_no_trainings() -> None:
    assert trainings_of([Row(None, UNTRAINED, System.MULTI_STEP, ())]) == []


# Refused before anything starts


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["ablate.members=[steper, steper]"], "ablate.members names something twice"),
        (["ablate.seeds=[]"], "ablate.seeds"),
        (["ablate.controls=[epochs]"], "ablate.controls"),
    ],
)
def test_lists_that_make_no_ablation_are_refused(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_config(None, overrides)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.model is missing"):
        ablate(load_config(None, [f"run.folder={tmp_path}"]))
    with pytest.raises(InputError, match="is not a folder"):
        ablate(load_config(None, [f"run.folder={tmp_path}", f"train.model={tmp_path / 'none'}"]))
    assert not (tmp_path / "ablate").exists()


# What is finished


def test_a_member_is_done_only_with_the_settings_and_samples_it_was_done_with(config: Config, tmp_path: Path) -> None:
    def run(config: Config) -> MemberRun:
        train = training_config(config, Training(STEPER, 72, 1), epochs=3)
        evaluation = evaluation_config(config, STEPER, Training(STEPER, 72, 1), System.MULTI_STEP, LoopSettings())
        return MemberRun("steper", tmp_path / "member", train, (evaluation,), keep_checkpoints=False)

    for place in ("samples", "held_out"):
        folder = tmp_path / "ablate" / place / "cumulative"
        folder.mkdir(parents=True)
        write_manifest(folder, Manifest("samples", "f", {"samples": 300}))
    first = run(config)
    assert not first.done
    first.folder.mkdir()
    (first.folder / "done.json").write_text(json.dumps({"fingerprint": first.fingerprint}))
    assert first.done
    assert run(changed(config, ablate={"parallel": 3})).done
    assert not run(changed(config, train={"learning_rate": 1e-3})).done
    assert not run(changed(config, evaluate={"limit": 5})).done
    write_manifest(tmp_path / "ablate" / "samples" / "cumulative", Manifest("samples", "f", {"samples": 299}))
    assert not first.done
