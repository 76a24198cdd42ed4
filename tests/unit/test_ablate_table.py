"""The table of what is finished: written when members fail, when an error ends the rest, and not of nothing."""

import json
from pathlib import Path

import pytest

from steper_ray.config import Config, load_config
from steper_ray.core.types import LoopSettings, System
from steper_ray.errors import InputError
from steper_ray.experiments.ablate import finish
from steper_ray.experiments.configs import evaluation_folder, samples_folder, training_folder
from steper_ray.experiments.member_run import MemberRun, run_member
from steper_ray.experiments.members import Form, Row, Size, Training, parse_member
from steper_ray.experiments.plan import Ablation, member_runs
from steper_ray.experiments.results import write_outcomes
from steper_ray.runs import Manifest, write_json, write_manifest
from steper_ray.sections.ablate import Control

STEPER, VANILLA, UNTRAINED = (parse_member(name) for name in ("steper", "vanilla_kd", "untrained"))
ROWS = (
    Row(None, UNTRAINED, System.MULTI_STEP, ()),
    Row(None, UNTRAINED, System.ONE_STEP, ()),
    Row(Control.UPDATES, STEPER, System.MULTI_STEP, (Training(STEPER, 2, 0),)),
    Row(Control.UPDATES, VANILLA, System.MULTI_STEP, (Training(VANILLA, 2, 0),)),
    Row(Control.UPDATES, VANILLA, System.ONE_STEP, (Training(VANILLA, 2, 0),)),
)
PLAN = Ablation(ROWS, {Form.CUMULATIVE: STEPER}, {STEPER: Size(20, 200), VANILLA: Size(8, 120)}, LoopSettings())


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two members are finished; the model that `vanilla_kd` would start from is gone."""
    overrides = [f"run.folder={tmp_path}", f"train.model={tmp_path / 'gone'}", "train.batch=4"]
    config = load_config(None, [*overrides, f"evaluate.questions={tmp_path / 'questions.jsonl'}"])
    asked = [{"id": f"q{number}", "question": f"{number}?", "golden_answers": ["x"]} for number in range(2)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    samples = samples_folder(config, Form.CUMULATIVE)
    samples.mkdir(parents=True)
    write_manifest(samples, Manifest("samples", "f", {"samples": 20}))
    for row, ems in zip(ROWS[:3], ([0, 0], [0, 1], [1, 1]), strict=True):
        evaluated(evaluation_folder(config, row.member, next(iter(row.trainings), None), row.system), ems)
    train = training_folder(config, ROWS[2].trainings[0]) / "train"
    train.mkdir(parents=True)
    # 30 seconds each.
    same = {"total": 1.0, "target_tokens": 40, "tokens": 60, "tokens_per_s": 2.0}
    lines = [
        {"update": 1, **same, "L_init": 0.64, "sigma_init": 1.0},
        {"update": 2, **same, "L_init": 0.36, "sigma_init": 0.8},
    ]
    (train / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return config


def evaluated(folder: Path, ems: list[int]) -> None:
    folder.mkdir(parents=True)
    same = {"golden_answers": ["x"], "prompt_tokens": 9, "completion_tokens": 1, "stop": "answered"}
    scores = ("exact_match", "f1", "accuracy_substring", "accuracy_tokens")
    lines = [
        {"id": f"q{number}", "question": f"{number}?", **same, **dict.fromkeys(scores, em)}
        for number, em in enumerate(ems)
    ]
    (folder / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_json(folder / "scores.json", {"stages": {}})


def runs_of(config: Config, done: int) -> list[MemberRun]:
    runs = member_runs(config, PLAN, "inputs")
    for run in runs[:done]:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_json(run.folder / "done.json", {"fingerprint": run.fingerprint})
    return runs


def told(config: Config) -> list[tuple[str, str]]:
    rows = json.loads((config.folder("ablate") / "ablation.json").read_text())["rows"]
    return [(row["member"], row["system"]) for row in rows]


def test_an_error_that_ends_the_rest_leaves_the_table_of_what_is_finished(config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        finish(config, PLAN, runs_of(config, 3), parallel=1, notes=["known before"])
    assert told(config) == [("untrained", "multi_step"), ("untrained", "one_step"), ("steper", "multi_step")]
    page = (tmp_path / "ablate" / "ablation.md").read_text()
    assert "vanilla_kd-cumulative-2-seed0: not finished" in page
    assert "Warning: known before." in page
    # Two updates of four, of five that show 20 samples once.
    assert "| steper | same updates | 2 | 0.40 of 20 | 80 | 100.0 " in page
    # Of the losses, the last third alone counts: √0.36.
    assert "| steper | same updates | 100.0 | 0.0 | 1.0 | 0.800 (0.600) |   |   |" in page
    assert "what another seed would give, one seed does not say" in page
    assert "2 with steper" in page


def test_an_evaluation_of_the_untrained_that_failed_leaves_its_row_out(config: Config, tmp_path: Path) -> None:
    failed = {"untrained-cumulative-one_step": "no question could be finished", "vanilla_kd-cumulative-2-seed0": "nan"}
    outcomes = write_outcomes(config, PLAN, failed)
    assert [str(outcome.row.member) for outcome in outcomes] == ["untrained", "steper"]
    assert told(config) == [("untrained", "multi_step"), ("steper", "multi_step")]
    page = (tmp_path / "ablate" / "ablation.md").read_text()
    assert "untrained-cumulative-one_step: no question could be finished" in page


@pytest.mark.parametrize(
    ("failed", "not_started", "why"),
    [
        ({"timeout": 149}, 0, "multi_step: of 150, 149 failed for a transient reason (149 timeout)"),
        ({"refused": 149}, 0, ""),
        ({"refused": 3}, 146, "multi_step: of 150, 146 not started"),
    ],
)
def test_a_member_with_questions_that_another_run_may_finish_is_not_done(
    config: Config, monkeypatch: pytest.MonkeyPatch, failed: dict[str, int], not_started: int, why: str
) -> None:
    def evaluate(config: Config) -> None:
        counts = {"asked": 150, "finished": 1, "failed": failed, "not_started": not_started}
        write_manifest(config.folder("evaluate"), Manifest("evaluate", "f", counts))

    monkeypatch.setattr("steper_ray.evaluate.run.evaluate", evaluate)
    run = runs_of(config, 0)[0]
    assert run.train is None
    assert run_member(run) == why
    assert run.done == (not why)


def test_each_evaluation_of_a_member_says_what_it_left(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate(config: Config) -> None:
        counts = {"asked": 2, "finished": 0, "failed": {"engine": 1}, "not_started": 1}
        config.folder("evaluate").mkdir(parents=True, exist_ok=True)
        write_manifest(config.folder("evaluate"), Manifest("evaluate", "f", counts))

    monkeypatch.setattr("steper_ray.evaluate.run.evaluate", evaluate)
    monkeypatch.setattr("steper_ray.train.run.train", lambda config: None)
    run = runs_of(config, 0)[-1]
    (run.folder / "train" / "checkpoints").mkdir(parents=True)
    told = "of 2, 1 failed for a transient reason (1 engine) and 1 not started"
    assert run_member(run) == f"multi_step: {told}; one_step: {told}"
    assert (run.folder / "train" / "checkpoints").is_dir()


def test_questions_that_failed_for_good_are_told_in_the_page_and_the_numbers(config: Config, tmp_path: Path) -> None:
    path = evaluation_folder(config, STEPER, ROWS[2].trainings[0], System.MULTI_STEP) / "predictions.jsonl"
    first, second = map(json.loads, path.read_text().splitlines())
    second |= {"stop": None, "failure": "prompt_too_long", "exact_match": 0}
    path.write_text("".join(json.dumps(line) + "\n" for line in (first, second)))
    write_outcomes(config, PLAN, {"vanilla_kd-cumulative-2-seed0": "nan"})
    told = "steper-cumulative-2-seed0, multi_step: 1 of 2 questions failed and score 0 (1 prompt_too_long)"
    assert f"Warning: {told}." in (tmp_path / "ablate" / "ablation.md").read_text()
    numbers = json.loads((tmp_path / "ablate" / "ablation.json").read_text())
    assert numbers["notes"] == [told]
    assert numbers["rows"][2]["failed"] == [{"prompt_too_long": 1}]
    assert numbers["rows"][2]["training_seconds"] == 60


def test_nothing_finished_is_no_table(config: Config, tmp_path: Path) -> None:
    names = {run.name: "why" for run in runs_of(config, 0)}
    assert write_outcomes(config, PLAN, names) == []
    assert not (tmp_path / "ablate" / "ablation.json").exists()
