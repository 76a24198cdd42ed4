"""A real Ray, scraped: every metric that the dashboard names is there, and the figures are those of the work."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from steper_ray.telemetry.log import read_log
from steper_ray.telemetry.metrics import METRICS
from steper_ray.train.telling import PART
from tests.promql import metric_names

pytestmark = [pytest.mark.ray, pytest.mark.lucene]

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("metrics_program.py")
DASHBOARD = json.loads((ROOT / "cluster" / "grafana" / "steper.json").read_text(encoding="utf-8"))
GPUS = {"ray_node_gpus_utilization", "ray_node_gram_used"}
"""Absent where no node has a GPU; Ray's agent declares them."""


def wanted() -> set[str]:
    """Every series that a query of the dashboard, or a metric of ours, stands for."""
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    ours = {name for metric in METRICS for name in metric.series}
    return ours.union(*map(metric_names, queries)) - GPUS


@pytest.fixture(scope="module")
def folder(halsey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `metrics_program.py` leaves."""
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "index").symlink_to(halsey / "index")
    (folder / "wanted.json").write_text(json.dumps(sorted(wanted())))
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_metrics_report_interval_ms": "1000"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, dict[str, float]]:
    return dict(json.loads((folder / "seen.json").read_text()))


def value(seen: dict[str, Any], name: str, **labels: str) -> float:
    """Sum over the label sets, and so the processes, that hold these labels."""
    found = [(json.loads(key), number) for key, number in seen[name].items()]
    return sum(number for key, number in found if labels.items() <= key.items())


def test_every_metric_of_the_dashboard_is_in_the_scrape(seen: dict[str, dict[str, float]]) -> None:
    assert sorted(wanted() - set(seen)) == []


def test_the_gpu_metrics_are_those_that_rays_agent_declares() -> None:
    from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES

    assert {f"ray_{name}" for name in METRICS_GAUGES} >= GPUS


def test_a_generation_is_counted(seen: dict[str, dict[str, float]]) -> None:
    how = {"phase": "generate", "run": "mine"}
    assert value(seen, "ray_steper_questions_total", **how, outcome="answered") == 24
    assert value(seen, "ray_steper_questions_total", **how, outcome="failed") == 0
    assert value(seen, "ray_steper_failures_total", **how) == 0
    assert value(seen, "ray_steper_tokens_total", **how, kind="completion") > 24
    # Three steps each, and the engine's one query per step, some of them asked before.
    assert value(seen, "ray_steper_completion_seconds_count", **how) == 72
    assert value(seen, "ray_steper_retrieval_seconds_count", **how) == 72
    sources = [value(seen, "ray_steper_searches_total", **how, source=source) for source in ("cache", "retriever")]
    assert sum(sources) == 72
    assert sources[0] >= 15  # 24 questions, 9 texts
    assert value(seen, "ray_steper_engine_starts_total", **how, after="nothing") == 1
    assert value(seen, "ray_steper_engine_starts_total", **how, after="death") == 0
    assert 1 <= max(seen["ray_steper_questions_in_flight"].values()) <= 4


def test_a_training_is_counted(seen: dict[str, dict[str, float]]) -> None:
    updates = value(seen, "ray_steper_train_updates_total", run="mine")
    assert updates == value(seen, "ray_steper_train_planned_updates", run="mine") > 10
    assert value(seen, "ray_steper_train_update", run="mine") == updates
    assert value(seen, "ray_steper_train_checkpoint_update", run="mine") == updates
    for stage in ("init", "exp", "agg"):
        assert value(seen, "ray_steper_train_stage_loss", run="mine", stage=stage) > 0
        assert 0.5 < value(seen, "ray_steper_train_sigma", run="mine", stage=stage) < 2
    assert value(seen, "ray_steper_train_starts_total", run="mine", after="nothing") == 1


def test_a_service_is_counted(seen: dict[str, dict[str, float]]) -> None:
    requests = {
        (route, status): value(seen, "ray_steper_requests_total", route=route, status=status)
        for route, status in (
            ("/v1/answer", "200"),
            ("/v1/answer/stream", "200"),
            ("/v1/answer", "422"),
            ("other", "404"),
        )
    }
    assert requests == dict.fromkeys(requests, 1)
    assert value(seen, "ray_steper_faults_total", type="invalid_request") == 1
    assert value(seen, "ray_steper_questions_total", phase="serve", run="steper", outcome="answered") == 2
    assert value(seen, "ray_steper_step_restarts_total", phase="serve") == 0


def test_gauges_of_an_idle_service_stay(folder: Path, seen: dict[str, dict[str, float]]) -> None:
    last = (folder / "last.txt").read_text()
    assert "\nray_steper_requests_in_flight{" in last


def test_the_logs_tell_the_course_of_generation_and_training(folder: Path) -> None:
    run = folder / "mine"
    told = [(line["run"], line["phase"], line["event"]) for line in read_log(run / "generate")]
    events = ["phase_started", "engine_works", "phase_finished"]
    assert told == [("mine", "generate", event) for event in events]
    assert read_log(run / "generate")[-1]["finished"] == 24
    assert [line["event"] for line in read_log(run / "train")] == ["phase_started", "phase_finished"]
    events = [line["event"] for line in read_log(run / "train", PART)]
    assert (events[0], events[-1]) == ("workers_started", "weights_written")
    assert {"held_out", "checkpoint_written"} < set(events)


def test_a_requests_line_is_in_rays_logs_under_its_id(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
    assert {(line["event"], line["path"], line["question_id"]) for line in lines} == {
        ("request", "/v1/answer", "s1"),
        ("request", "/v1/answer/stream", "s1"),
    }
