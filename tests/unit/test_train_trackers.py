"""Trackers: real event files read back, stand-ins for services that are not installed, and faults that stop nothing."""

import json
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from steper_ray.errors import ConfigError, EnvironmentFault
from steper_ray.train import trackers as module
from steper_ray.train.journal import Journal, JournalTail, updates_of
from steper_ray.train.trackers import Trackers, check_trackers, open_trackers, tracker_warnings, values_of

UPDATE = {"update": 3, "epoch": 0, "total": -0.5, "L_init": 0.25, "L_exp": None, "sigma_init": 0.5, "lr": 1e-4}
HELD_OUT = {"update": 3, "epoch": 0, "held_out": {"L_init": 0.75, "accuracy_init": 0.5, "selection": 0.75}}

WANDB = """
import json, pathlib
class Run:
    def __init__(self, place, kind, id):
        self.place, self.starting_step = place, 2 if kind == "resumed" else 0
    def log(self, values, step):
        with self.place.open("a") as file: file.write(json.dumps([step, values]) + "\\n")
    def finish(self, exit_code):
        with self.place.open("a") as file: file.write(json.dumps(["exit", exit_code]) + "\\n")
def init(project, id, name, dir, config, resume):
    place = pathlib.Path(dir) / f"{id}.log"
    run = Run(place, "resumed" if place.exists() else "new", id)
    run.log({"project": project, "name": name, "config": config, "resume": resume}, -1)
    return run
"""
MLFLOW = """
import json, pathlib, types
class MlflowClient:
    def __init__(self, tracking_uri):
        self.place = pathlib.Path(tracking_uri.removeprefix("sqlite:///"))
    def _all(self):
        return [json.loads(line) for line in self.place.read_text().splitlines()] if self.place.exists() else []
    def _add(self, *row):
        with self.place.open("a") as file: file.write(json.dumps(row) + "\\n")
    def get_experiment_by_name(self, name): return None
    def create_experiment(self, name): return "e1"
    def create_run(self, experiment, run_name):
        self._add("run", experiment, run_name)
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))
    def update_run(self, run, status): self._add("status", status)
    def set_terminated(self, run, status): self._add("status", status)
    def log_batch(self, run, metrics=(), params=()):
        for param in params: self._add("param", param.key, param.value)
        for metric in metrics: self._add("metric", metric.key, metric.step, metric.value)
    def get_metric_history(self, run, key):
        rows = [row for row in self._all() if row[0] == "metric" and row[1] == key]
        return [types.SimpleNamespace(step=row[2]) for row in rows]
"""
ENTITIES = """
from collections import namedtuple
Param = namedtuple("Param", "key value")
Metric = namedtuple("Metric", "key value timestamp step")
"""


def events(folder: Path) -> Iterator[Event]:
    """The events of all files of a folder in the order of their names, as TensorBoard reads them."""
    for path in sorted(folder.glob("events.out.tfevents.*"), key=lambda path: (path.name[:30], path.stat().st_mtime)):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def points(folder: Path) -> dict[str, dict[int, list[float]]]:
    """Values by name and step; a session that starts at a step takes back all points from there on."""
    seen: dict[str, dict[int, list[float]]] = {}
    for event in events(folder):
        if event.session_log.status == SessionLog.START:
            for steps in seen.values():
                for step in [step for step in steps if step >= event.step]:
                    del steps[step]
        for value in event.summary.value:
            seen.setdefault(value.tag, {}).setdefault(event.step, []).append(value.simple_value)
    return seen


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand-ins for wandb and mlflow on the path."""
    place = tmp_path / "site"
    (place / "mlflow").mkdir(parents=True)
    (place / "wandb.py").write_text(WANDB)
    (place / "mlflow" / "__init__.py").write_text(MLFLOW)
    (place / "mlflow" / "entities.py").write_text(ENTITIES)
    monkeypatch.syspath_prepend(str(place))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    yield
    for name in ("wandb", "mlflow", "mlflow.entities"):
        sys.modules.pop(name, None)


def train(folder: Path, names: list[str], after: int, *updates: int) -> None:
    with open_trackers(folder, names, after) as trackers:
        journal = Journal(folder, trackers=trackers)
        journal.rewind(after)
        for update in updates:
            journal.write({**UPDATE, "update": update, "total": float(update * 10)})


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_numbers_of_a_line_have_names_and_what_is_null_is_left_out() -> None:
    assert values_of(UPDATE) == {
        "train/epoch": 0.0,
        "train/total": -0.5,
        "train/L_init": 0.25,
        "train/sigma_init": 0.5,
        "train/lr": 1e-4,
    }
    assert values_of(HELD_OUT) == {
        "held_out/L_init": 0.75,
        "held_out/accuracy_init": 0.5,
        "held_out/selection": 0.75,
    }


def test_lines_of_updates_are_told_from_those_of_evaluations() -> None:
    assert updates_of([HELD_OUT, UPDATE, HELD_OUT]) == [UPDATE]


def test_event_files_hold_what_the_journal_holds(tmp_path: Path) -> None:
    with open_trackers(tmp_path, ["tensorboard"], 0) as trackers:
        journal = Journal(tmp_path, trackers=trackers)
        journal.write(UPDATE)
        journal.write(HELD_OUT)
    found = points(tmp_path / "tensorboard")
    assert found["train/total"] == {3: [-0.5]}
    assert found["held_out/accuracy_init"] == {3: [0.5]}
    assert "train/L_exp" not in found
    assert tracker_warnings(tmp_path) == {}


def test_a_resumed_training_leaves_each_point_once(tmp_path: Path) -> None:
    train(tmp_path, ["tensorboard"], 0, 1, 2, 3)
    time.sleep(1.1)  # files are read in the order of their names, which hold whole seconds
    train(tmp_path, ["tensorboard"], 1, 2, 3, 4)
    assert points(tmp_path / "tensorboard")["train/total"] == {1: [10], 2: [20], 3: [30], 4: [40]}


def test_wandb_resumes_its_run_and_is_sent_no_step_twice(tmp_path: Path, services: None) -> None:
    (tmp_path / "identity.json").write_text('{"run.seed": 7}')
    train(tmp_path, ["wandb"], 0, 1)
    train(tmp_path, ["wandb"], 0, 1, 2)
    (log,) = (tmp_path / "trackers").glob("*.log")
    seen = rows(log)
    assert [row[0] for row in seen] == [-1, 1, "exit", -1, 2, "exit"]
    assert seen[0][1]["config"] == {"run.seed": 7}
    assert seen[0][1]["name"] == f"{tmp_path.parent.name}/{tmp_path.name}"
    assert seen[1][1]["train/total"] == 10.0
    assert seen[2][1] == 0


def test_mlflow_continues_its_run_and_is_sent_no_step_twice(tmp_path: Path, services: None) -> None:
    (tmp_path / "identity.json").write_text('{"train.batch": 8}')
    train(tmp_path, ["mlflow"], 0, 1, 2)
    train(tmp_path, ["mlflow"], 1, 2, 3)
    seen = rows(tmp_path / "trackers" / "mlflow.db")
    assert ["param", "train.batch", "8"] in seen
    assert [row for row in seen if row[:2] == ["metric", "train/total"]] == [
        ["metric", "train/total", 1, 10.0],
        ["metric", "train/total", 2, 20.0],
        ["metric", "train/total", 3, 30.0],
    ]
    assert [row[1] for row in seen if row[0] == "status"] == ["FINISHED", "RUNNING", "FINISHED"]


def test_a_training_that_fails_is_marked_so(tmp_path: Path, services: None) -> None:
    with pytest.raises(RuntimeError), open_trackers(tmp_path, ["mlflow", "wandb"], 0):
        raise RuntimeError
    assert rows(tmp_path / "trackers" / "mlflow.db")[-1] == ["status", "FAILED"]
    (log,) = (tmp_path / "trackers").glob("*.log")
    assert rows(log)[-1] == ["exit", 1]


class Flaky:
    """Fails with its second figure, as a service does whose network is gone."""

    def __init__(self) -> None:
        self.calls = 0

    def write(self, update: int, values: Mapping[str, float]) -> None:
        self.calls += 1
        if self.calls == 2:
            raise ConnectionError("no route to\nhost")

    def close(self, *, failed: bool) -> None:
        raise AssertionError("closed after it was given up")


def test_a_tracker_that_fails_is_told_once_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flaky = Flaky()
    monkeypatch.setattr("steper_ray.train.tracker_kinds.open_tracker", lambda name, run: flaky)
    train(tmp_path, ["wandb"], 0, 1, 2, 3, 4)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4
    assert flaky.calls == 2
    assert tracker_warnings(tmp_path) == {
        "wandb": "tracker wandb is given up, the training goes on: ConnectionError: no route to host"
    }


def test_a_tracker_that_hangs_holds_up_neither_updates_nor_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steper_ray.train.tracker_kinds.open_tracker", lambda name, run: threading.Event().wait())
    monkeypatch.setattr(module, "_CLOSE_S", 0.1)
    started = time.monotonic()
    train(tmp_path, ["mlflow"], 0, *range(1, 50))
    assert time.monotonic() - started < 5
    assert "did not end within" in tracker_warnings(tmp_path)["mlflow"]


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    with open_trackers(tmp_path, ["tensorboard"], 0, writes=False) as trackers:
        Journal(tmp_path, writes=False, trackers=trackers).write(UPDATE)
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="known are tensorboard, wandb, mlflow, found 'tensorbord'"):
        check_trackers(["tensorboard", "tensorbord"])


def test_a_tracker_that_is_not_installed_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    check_trackers(["tensorboard"])
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match=r"train\.trackers names wandb.*`pip install wandb`"):
        check_trackers(["wandb"])


def test_a_tail_reads_each_line_once_and_begins_again_after_a_rewind(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalTail(tmp_path)
    assert tail.lines() == []
    journal.write({"update": 1})
    journal.write({"update": 2})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"upd')
    assert [line["update"] for line in tail.lines()] == [1, 2]
    assert tail.lines() == []
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('ate": 3}\n')
    assert tail.lines() == [{"update": 3}]
    journal.rewind(1)
    journal.write({"update": 2, "again": True})
    assert tail.lines() == [{"update": 1}, {"update": 2, "again": True}]


def test_a_journal_that_cannot_be_written_breaks_the_worker(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"metrics\.jsonl"):
        Journal(tmp_path / "gone").write(UPDATE)


def test_without_names_nothing_is_tracked(tmp_path: Path) -> None:
    with open_trackers(tmp_path, [], 0) as trackers:
        assert isinstance(trackers, Trackers)
        trackers.write(UPDATE)
    assert not (tmp_path / "tensorboard").exists()
