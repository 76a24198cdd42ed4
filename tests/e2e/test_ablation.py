"""`steper ablate` as a user runs it: a small world, recorded trajectories, a tiny model, three trainings, the table."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from steper_ray.cli import main
from steper_ray.config import load_config
from steper_ray.demo.writer import write_world
from steper_ray.drive.lock import holder_of
from steper_ray.generate.run import generate
from steper_ray.index.run import build
from steper_ray.telemetry.log import read_log
from steper_ray.train.checkpoint_folders import all_checkpoints
from steper_ray.train.telling import PART
from tests.train.tiny import write_model
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings of a run whose index, trajectories and held-out trajectories are made."""
    folder = tmp_path_factory.mktemp("ablation")
    world = folder / "world"
    write_world(world, 7, 400, 24, 8)
    write_model(folder / "model")
    settings = [f"run.folder={folder}", "loop.k=1", "loop.step_limit=5", "teacher.backend=replay"]
    build(load_config(None, [*settings, f"index.corpus={world / 'corpus.jsonl'}"]))
    for split, place in (("train", "generate"), ("held_out", "held_out")):
        recorded = [f"teacher.recordings={world / f'chains.{split}.jsonl'}", f"generate.folder={folder / place}"]
        generate(load_config(None, [*settings, *recorded, f"generate.questions={world / f'{split}.jsonl'}"]))
    return [
        *settings,
        f"train.model={folder / 'model'}",
        "train.batch=4",
        "train.pack_tokens=8192",
        "train.learning_rate=1e-3",
        "train.held_out_share=0",
        "train.compute_dtype=float32",
        "student.backend=scripted",
        f"evaluate.questions={world / 'held_out.jsonl'}",
        f"ablate.held_out={folder / 'held_out'}",
        "ablate.members=[untrained, vanilla_kd, steper]",
        "ablate.controls=[target_tokens]",
        "ablate.updates=3",
    ]


def kill_the_training_in(members: Path) -> None:
    """SIGKILL the process of a member when its training has a checkpoint."""
    (train,) = wait_until(lambda: [place for place in members.glob("*/train") if all_checkpoints(place)])
    holder = holder_of(train)
    assert holder is not None
    assert holder.pid != os.getpid()
    os.kill(holder.pid, signal.SIGKILL)


def test_a_member_whose_process_is_killed_is_named_and_continued(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = ["ablate.members=[steper]", "ablate.parallel=2", "train.checkpoint_every=1"]
    told = ["ablate", *settings, f"ablate.folder={tmp_path}", *alone]
    with ThreadPoolExecutor(1) as pool:
        killer = pool.submit(kill_the_training_in, tmp_path / "members")
        assert main(told) == 1
        killer.result()
    (member,) = (tmp_path / "members").iterdir()
    assert not (member / "done.json").exists()
    assert f"{member.name}: its process died" in capsys.readouterr().err
    assert main(told) == 0
    starts = [line for line in read_log(member / "train", PART) if line["event"].startswith("workers_")]
    assert [line["event"] for line in starts] == ["workers_started", "workers_resumed"]
    assert starts[1]["after"] >= 1
    assert [row["updates"] for row in json.loads((tmp_path / "ablation.json").read_text())["rows"]] == [3]


def test_all_members_stand_in_the_table_and_a_second_run_trains_nothing(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(settings[0].partition("=")[2]) / "ablate"
    assert main(["ablate", *settings, "ablate.parallel=2"]) == 0
    told = json.loads((folder / "ablation.json").read_text())
    named = [(row["control"], row["member"], row["system"]) for row in told["rows"]]
    assert named == [
        (None, "untrained", "multi_step"),
        (None, "untrained", "one_step"),
        ("target_tokens", "vanilla_kd", "multi_step"),
        ("target_tokens", "vanilla_kd", "one_step"),
        ("target_tokens", "steper", "multi_step"),
    ]
    by_name: dict[Any, Any] = dict(zip(named, told["rows"], strict=True))
    # Its targets are longer.
    assert by_name["target_tokens", "vanilla_kd", "multi_step"]["updates"] < 3
    trained, untrained = by_name["target_tokens", "steper", "multi_step"], by_name[None, "untrained", "multi_step"]
    assert set(trained["stages"]) == set(untrained["stages"])
    for stage, before in untrained["stages"].items():
        assert trained["stages"][stage]["loss"] < before["loss"]
    assert told["tables"][0]["title"].startswith("Scores of ")  # what the report shows
    assert len(told["against"]) == 4
    assert trained["updates"] == 3
    assert trained["epochs"] < 1
    assert "| steper | same target tokens | 3 |" in (folder / "ablation.md").read_text()
    assert not list(folder.glob("members/*/train/checkpoints/*"))

    before = {path: path.stat().st_mtime for path in folder.glob("members/*/train/metrics.jsonl")}
    next(folder.glob("members/steper-*/done.json")).unlink()  # as if killed before the end
    capsys.readouterr()
    assert main(["ablate", *settings]) == 0
    said = capsys.readouterr().out
    assert said.count("is finished already") == 3
    assert "train: finished already, 3 updates" in said
    assert {path: path.stat().st_mtime for path in before} == before
    assert json.loads((folder / "ablation.json").read_text()) == told
