"""Every entry point through `ray job submit` on a head in token mode: exit codes, stop and continue, no room."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from steper_ray.data.schemas import TRAJECTORIES, read_rows
from tests.cluster.conftest import Head
from tests.train.tiny import write_model

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.slow]

QUESTIONS = 400


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, questions that the scripted teacher gets right, a tiny model, and a configuration of all phases."""
    folder = tmp_path_factory.mktemp("jobs")
    _lines(folder / "corpus.jsonl", [{"_id": f"p{n}", "title": f"Town {n}", "text": "It lies."} for n in range(50)])
    asked = [
        {"id": f"q{n}", "question": f"Where lies town {n}?", "golden_answers": [f"answer to q{n}"]}
        for n in range(QUESTIONS)
    ]
    _lines(folder / "questions.jsonl", asked)
    _lines(
        folder / "dev.jsonl", [{**one, "id": f"d{one['id']}", "question": f"{one['question']}?"} for one in asked[:8]]
    )
    write_model(folder / "model")
    settings = {
        "run": {"folder": str(folder / "run")},
        "index": {"corpus": str(folder / "corpus.jsonl")},
        "teacher": {"backend": "scripted", "scripted_latency_s": 0.2},
        "generate": {"questions": str(folder / "questions.jsonl"), "in_flight": 16, "flush_rows": 8, "flush_s": 1},
        "samples": {"per_question": 3},
        "train": {"model": str(folder / "model"), "updates": 3, "held_out_share": 0.0, "pack_tokens": 4096},
        "student": {"backend": "scripted"},
        "evaluate": {"questions": str(folder / "dev.jsonl")},
        "serve": {"port": 0, "loop_replicas": 1},
    }
    (folder / "config.yaml").write_text(json.dumps(settings))
    return folder


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def finished(world: Path) -> list[str]:
    """Keys of the trajectories on disk."""
    folder = world / "run" / "generate" / "trajectories"
    return [row["question_id"] for row in read_rows(folder, TRAJECTORIES, ["question_id"])] if folder.exists() else []


def test_without_the_token_nothing_is_answered(head: Head) -> None:
    assert httpx.get(f"{head.dashboard}/api/jobs/").status_code in (401, 403)


def test_the_index_is_built_and_a_second_build_is_a_users_error(head: Head, world: Path) -> None:
    assert head.run("index", str(world / "config.yaml")) == 0
    assert head.run("index", str(world / "config.yaml")) == 2


def test_a_generation_that_is_stopped_ends_cleanly_and_the_same_job_finishes_it(head: Head, world: Path) -> None:
    job = head.submit("generate", str(world / "config.yaml"))
    patience = time.monotonic() + 120
    while len(finished(world)) < 40:
        assert time.monotonic() < patience, head.log(job)
        time.sleep(0.2)
    head.stop(job)
    assert head.info(job)["status"] == "STOPPED"
    assert "stopped; the same command continues" in head.log(job)
    before = finished(world)
    assert 40 <= len(before) < QUESTIONS
    assert not list((world / "run" / "generate" / "trajectories").glob(".*.tmp"))

    assert head.run("generate", str(world / "config.yaml"), "teacher.scripted_latency_s=0") == 0
    after = finished(world)
    assert sorted(after) == sorted(f"q{n}" for n in range(QUESTIONS)), "every key once"
    assert after[: len(before)] == before, "what was there stays as it was"
    counts = json.loads((world / "run" / "generate" / "manifest.json").read_text())["counts"]
    assert (counts["asked"], counts["finished"], counts["not_started"], counts["failed"]) == (
        QUESTIONS,
        QUESTIONS,
        0,
        {},
    )


@pytest.mark.parametrize("phases", [["samples"], ["train"], ["evaluate", "report"]], ids=" ".join)
def test_a_later_phase_runs_as_a_job(head: Head, world: Path, phases: list[str]) -> None:
    for job in [head.submit(phase, str(world / "config.yaml")) for phase in phases]:
        assert head.wait(job) == 0, head.log(job)


def test_the_pipeline_finds_all_phases_finished_and_remembers_it(head: Head, world: Path) -> None:
    first = head.submit("pipeline", str(world / "config.yaml"))
    assert head.wait(first) == 0, head.log(first)
    second = head.submit("pipeline", str(world / "config.yaml"))
    assert head.wait(second) == 0, head.log(second)
    for phase in ("index", "generate", "samples", "train", "evaluate", "report"):
        assert f"pipeline: {phase} is finished" in head.log(second)


def test_what_cannot_be_placed_says_within_a_minute_what_it_lacks(head: Head, world: Path) -> None:
    started = time.monotonic()
    asks = ["teacher.resource=accelerator", "ray.join_s=2", f"generate.folder={world / 'other'}"]
    job, wrong = (
        head.submit("generate", str(world / "config.yaml"), *asks),
        head.submit("evaluate", "evaluate.questons=x"),
    )
    assert head.wait(job) == 3
    assert time.monotonic() - started < 60
    assert "1 engines ask for 1 CPU and 0.001 accelerator each, there is room for 0" in head.log(job)
    assert head.wait(wrong) == 2
    assert "did you mean 'questions'?" in head.log(wrong)


def test_a_service_runs_as_a_job_until_it_is_stopped(head: Head, world: Path) -> None:
    job = head.submit("serve", str(world / "config.yaml"))
    patience = time.monotonic() + 120
    while " answers; stop with" not in (log := head.log(job)):
        assert time.monotonic() < patience, log
        assert head.info(job)["status"] != "FAILED", log
        time.sleep(0.5)
    url = log.split("serve: ")[-1].split(" answers")[0]
    answer = httpx.post(f"{url}/v1/answer", json={"question": "Where lies town 1?"}, timeout=60).json()
    assert answer["answer"]
    head.stop(job)
    assert "serve: stopping" in head.log(job)
    assert head.info(job)["status"] == "STOPPED"
