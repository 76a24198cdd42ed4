"""Who is compared with whom, and for how long each is trained; all numbers by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from steper_ray.backends.index_facts import IndexFacts, write_facts
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
from steper_ray.experiments.contents import contents_digest
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
    references_of,
    trainings_of,
    usual_updates,
)
from steper_ray.experiments.plan import budgets_of, epochs_of
from steper_ray.runs import Manifest, write_manifest
from steper_ray.sections.ablate import Control, FormName

STEPER, VANILLA = parse_member("steper"), parse_member("vanilla_kd")
UNTRAINED, TURNS = parse_member("untrained"), parse_member("steper/turns")
SAMPLES = Size(units=300, target_tokens=9000)
"""100 trajectories of three steps, 30 target tokens each sample."""
FINAL = Size(units=100, target_tokens=4500)
"""Their last samples: 45 target tokens each."""
FACTS = IndexFacts(passages=1, corpus_digest="c", language="en", analyzer="A", k1=0.9, b=0.4)


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


def test_each_form_has_its_own_reference_steper_unless_another_is_named() -> None:
    multitask, other = parse_member("multitask"), parse_member("multitask/turns")
    assert references_of([UNTRAINED, STEPER, VANILLA], None) == {Form.CUMULATIVE: STEPER}
    assert references_of([UNTRAINED, VANILLA, multitask], None) == {Form.CUMULATIVE: multitask}
    both = {Form.CUMULATIVE: STEPER, Form.TURNS: TURNS}
    assert references_of([VANILLA, STEPER, other, TURNS], None) == both
    assert references_of([STEPER, TURNS], "steper/turns") == both
    assert references_of([VANILLA, STEPER, other, TURNS], "multitask/turns") == {**both, Form.TURNS: other}
    # Nothing is trained in `turns`, so nothing is compared there.
    assert references_of([STEPER, parse_member("untrained/turns")], None) == {Form.CUMULATIVE: STEPER}
    with pytest.raises(ConfigError, match="trains nothing"):
        references_of([UNTRAINED], None)
    with pytest.raises(ConfigError, match="none of the trained members: steper"):
        references_of([UNTRAINED, STEPER], "untrained")


def test_budgets_are_those_of_the_forms_own_reference() -> None:
    turns, other = Size(units=100, target_tokens=9000), parse_member("multitask/turns")
    sizes = {STEPER: SAMPLES, VANILLA: FINAL, TURNS: turns, other: turns}
    both = [Control.UPDATES, Control.TARGET_TOKENS]
    budgets = budgets_of(both, sizes, references_of([*sizes], None), {Form.CUMULATIVE: 72, Form.TURNS: 30})
    assert {str(member): budgets[Control.UPDATES, member] for member in sizes} == {
        "steper": 72,
        "vanilla_kd": 72,
        "steper/turns": 30,
        "multitask/turns": 30,
    }
    # By tokens 72 · 30 / 45 of the final samples; nothing in `turns` changes, so nothing there is trained twice.
    assert {str(member): budgets[Control.TARGET_TOKENS, member] for member in sizes} == {
        "steper": 72,
        "vanilla_kd": 48,
        "steper/turns": 30,
        "multitask/turns": 30,
    }


def test_updates_may_be_named_form_by_form() -> None:
    config = load_config(None, ["ablate.updates={cumulative: 100, turns: 50}"])
    assert config.ablate.updates == {"cumulative": 100, "turns": 50}
    assert load_config(None, ["ablate.updates=60"]).ablate.updates == 60
    assert set(get_args(FormName)) == {*Form}
    for wrong in ("{rounds: 3}", "{turns: 0}", "0", "many"):
        with pytest.raises(ConfigError, match=r"ablate\.updates"):
            load_config(None, [f"ablate.updates={wrong}"])


def test_epochs_are_updates_by_those_that_show_every_unit_once() -> None:
    config = load_config(None, ["train.batch=8", "train.held_out_share=0"])
    # 300 units are 38 updates of 8.
    assert epochs_of(config, SAMPLES, 19) == 0.5


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
    def run(config: Config, inputs: str = "a") -> MemberRun:
        train = training_config(config, Training(STEPER, 72, 1), epochs=3)
        evaluation = evaluation_config(config, STEPER, Training(STEPER, 72, 1), System.MULTI_STEP, LoopSettings())
        return MemberRun("steper", tmp_path / "member", train, (evaluation,), inputs, keep_checkpoints=False)

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
    assert not run(config, inputs="b").done
    write_manifest(tmp_path / "ablate" / "samples" / "cumulative", Manifest("samples", "f", {"samples": 299}))
    assert not first.done


def test_the_digest_of_what_members_read_changes_with_contents_not_with_paths(tmp_path: Path) -> None:
    def digest(folder: Path) -> str:
        overrides = [f"run.folder={folder}", f"train.model={folder / 'model'}"]
        return contents_digest(load_config(None, [*overrides, f"evaluate.questions={folder / 'questions.jsonl'}"]))

    def written(folder: Path) -> Path:
        for name in ("model", "index/lucene"):
            (folder / name).mkdir(parents=True)
        (folder / "model" / "config.json").write_text("{}")
        (folder / "questions.jsonl").write_text("one\n")
        write_facts(folder / "index", FACTS)
        return folder

    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    first = digest(one)
    assert digest(other) == first
    (one / "questions.jsonl").write_text("two\n")
    (other / "model" / "config.json").write_text('{"a": 1}')
    third = written(tmp_path / "third")
    write_facts(third / "index", replace(FACTS, corpus_digest="d"))
    assert len({first, digest(one), digest(other), digest(third)}) == 4
