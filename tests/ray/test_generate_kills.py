"""Processes of a running generation are killed for real; then every key is there once and nothing is truncated."""

import json
import signal
import subprocess
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from steper_ray.config import load_config
from steper_ray.data.schemas import FAILURES, TRAJECTORIES, read_rows
from steper_ray.index.run import build
from steper_ray.telemetry.log import read_log
from tests.process_tree import family, running, titled
from tests.waiting import PATIENCE_S, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.slow]

QUESTIONS = 2000
FEW = 300
STEPS = 3
TWO_ENGINES = ("generate.actors=2", "generate.in_flight=32", "teacher.scripted_latency_s=0.4")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, its index, and 2,000 questions."""
    folder = tmp_path_factory.mktemp("kills")
    corpus = [{"_id": f"p{n}", "title": f"Town {n}", "text": f"Town {n} lies at river {n % 50}."} for n in range(500)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    asked = [
        {
            "id": f"q{n}",
            "question": f"Which river is town {n % 500} at, case {n}?",
            "golden_answers": [f"answer to q{n}"],
        }
        for n in range(QUESTIONS)
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    build(load_config(None, [f"run.folder={folder}", f"index.corpus={folder / 'corpus.jsonl'}"]))
    return folder


@pytest.fixture
def folder(world: Path, tmp_path: Path) -> Path:
    """A run folder of its own over the same index and questions."""
    (tmp_path / "index").symlink_to(world / "index")
    (tmp_path / "questions.jsonl").symlink_to(world / "questions.jsonl")
    return tmp_path


def shorten(folder: Path, questions: int) -> None:
    """Ask only the first questions."""
    file = folder / "questions.jsonl"
    few = file.read_text().splitlines(keepends=True)[:questions]
    file.unlink()  # a link to those of all tests
    file.write_text("".join(few))


@pytest.fixture
def few(folder: Path) -> Path:
    """A run folder with a few times the questions that are in flight."""
    shorten(folder, FEW)
    return folder


def generation(folder: Path, mood: str = "none", *overrides: str) -> "AbstractContextManager[subprocess.Popen[str]]":
    """A running generation."""
    program = Path(__file__).with_name("kill_program.py")
    return running(str(program), str(folder), mood, *overrides, stderr=subprocess.DEVNULL)


def process_named(process: "subprocess.Popen[str]", name: str) -> psutil.Process:
    """The descendant whose command line starts with this; waited for, since one may just be replaced."""

    last: list[str] = []

    def found() -> psutil.Process | None:
        assert process.poll() is None, f"the generation ended before any {name} was seen, the last looked at: {last}"
        relatives = family(process.pid)
        last[:] = map(str, relatives)
        return next(iter(titled(relatives, name)), None)

    return wait_until(found)


def calls(folder: Path) -> int:
    """Completions that were ever written."""
    file = folder / "calls"
    return file.stat().st_size if file.exists() else 0


def result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, out
    # Ray tells of what died between our lines.
    counts: dict[str, Any] = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    return counts


def contents(folder: Path) -> dict[str, tuple[Any, ...]]:
    """What every trajectory says, timings apart; asserts that each key is there once."""
    rows = list(read_rows(folder / "generate" / "trajectories", TRAJECTORIES))
    said = {
        row["question_id"]: (
            row["answer"],
            [(step["query"], step["retrieved"], step["rationale"]) for step in row["steps"]],
        )
        for row in rows
    }
    assert len(said) == len(rows)
    return said


@pytest.fixture(scope="module")
def calm(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, ...]]:
    """The contents of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("calm")
    (folder / "index").symlink_to(world / "index")
    (folder / "questions.jsonl").symlink_to(world / "questions.jsonl")
    with generation(folder) as process:
        assert result(process)["finished"] == QUESTIONS
    assert calls(folder) == QUESTIONS * STEPS
    return contents(folder)


@pytest.mark.parametrize("victim", ["ray::MapWorker", "ray::RetrieverActor"])
def test_a_killed_engine_or_retriever_is_replaced_and_the_contents_are_those_of_a_calm_run(
    folder: Path, calm: dict[str, tuple[Any, ...]], victim: str
) -> None:
    with generation(folder) as process:
        wait_until(lambda: calls(folder) > QUESTIONS)
        process_named(process, victim).kill()
        counts = result(process)
    assert counts["finished"] == QUESTIONS
    assert counts["failed"] == {}
    assert contents(folder) == calm
    redone = calls(folder) - QUESTIONS * STEPS
    print(f"redone after the death of {victim}: {redone / (QUESTIONS * STEPS):.1%}")
    assert redone <= 0.05 * QUESTIONS * STEPS


def test_a_killed_driver_continues_where_it_was_and_redoes_little(
    folder: Path, calm: dict[str, tuple[Any, ...]]
) -> None:
    slow = "teacher.scripted_latency_s=0.2"
    with generation(folder, "none", slow) as process:
        wait_until(lambda: calls(folder) > QUESTIONS * STEPS // 2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = len(contents(folder))
    assert 0 < kept < QUESTIONS
    with generation(folder, "none", slow) as process:
        assert result(process)["finished"] == QUESTIONS
    assert contents(folder) == calm
    assert not list((folder / "generate" / "trajectories").glob(".*.tmp"))
    redone = calls(folder) - QUESTIONS * STEPS
    print(f"redone after the driver's death: {redone / (QUESTIONS * STEPS):.1%}")
    # 64 in flight, with one of their three steps done on average, and some 32 finished ones that are not yet flushed.
    assert redone <= 0.05 * QUESTIONS * STEPS


@pytest.mark.parametrize("victim", ["engine", "driver"])
def test_a_slow_question_keeps_no_other_of_its_lease_from_being_written_and_a_death_costs_it_alone(
    few: Path, victim: str
) -> None:
    with generation(few, "slow", "generate.flush_s=1") as process:
        wait_until(lambda: len(contents(few)) == FEW - 1, every_s=0.5)
        assert "q7" not in contents(few)
        if victim == "engine":
            time.sleep(2)  # the foreman hears of what the driver took
            process_named(process, "ray::MapWorker").kill()
            (few / "go").touch()
            assert result(process)["finished"] == FEW
        else:
            orphans = family(process.pid)
            process.kill()
            process.wait()
            for orphan in orphans:  # their calls would count
                with suppress(psutil.NoSuchProcess):
                    orphan.kill()
            psutil.wait_procs(orphans)
    if victim == "driver":
        (few / "go").touch()
        with generation(few, "slow") as process:
            assert result(process)["finished"] == FEW
    assert len(contents(few)) == FEW
    assert calls(few) == FEW * STEPS


def test_an_engine_that_dies_three_times_without_progress_stops_the_job_with_the_reason(few: Path) -> None:
    with generation(few, "deadly") as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "PhaseFailed: engine 0 died 3 times in a row without progress" in out
    assert "the same command continues" in out
    with generation(few) as process:
        assert result(process)["finished"] == FEW


def test_a_question_that_kills_engines_is_a_failure_and_ends_neither_the_job_nor_the_others(few: Path) -> None:
    with generation(few, "poison") as process:
        counts = result(process)
    # Its neighbours in the lease share its fate until the next run, which tries them one by one.
    assert counts["finished"] + counts["failed"]["engine"] == FEW
    assert 1 <= counts["failed"]["engine"] <= 16
    assert "q234" not in contents(few)
    with generation(few, "poison") as process:
        assert result(process)["failed"] == {"engine": 1}


def test_an_engine_that_fails_all_its_questions_at_each_death_is_given_up_as_well(few: Path) -> None:
    with generation(few, "dying") as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "engine 0 died 3 times in a row without progress; the last time: the engine died: no memory" in out
    # What fails with a dying engine runs again; a lease over which it died twice is given up.
    failed = list(read_rows(few / "generate" / "failures", FAILURES))
    assert len(failed) <= 16
    assert {row["message"] for row in failed} <= {"2 engines died while this question was in their lease"}


def test_an_engine_that_does_not_start_at_the_first_try_after_its_death_gets_another(few: Path) -> None:
    with generation(few, "reluctant") as process:
        counts = result(process)
    assert (few / "refused").exists()
    assert counts["finished"] == FEW
    log = read_log(few / "generate")
    assert [line["restarts"] for line in log if line["event"] == "engine_restarted"] == [2]
    assert (log[-1]["event"], log[-1]["finished"]) == ("phase_finished", FEW)


def test_an_engine_that_never_loads_beside_one_that_works_costs_no_question(few: Path) -> None:
    with generation(few, "refusing", *TWO_ENGINES) as process:
        counts = result(process)
    assert 1 <= (few / "refusals").stat().st_size <= 3
    assert (counts["finished"], counts["failed"]) == (FEW, {})


def test_one_of_two_engines_that_only_dies_is_retired_and_the_other_does_the_work(few: Path) -> None:
    with generation(few, "half", *TWO_ENGINES) as process:
        counts = result(process)
    # It keeps what it was given, some eight leases of eight, until nothing else is left.
    assert set(counts["failed"]) == {"engine"}
    assert counts["finished"] + counts["failed"]["engine"] == FEW
    assert counts["finished"] >= FEW // 2
    messages = {row["message"] for row in read_rows(few / "generate" / "failures", FAILURES)}
    assert any(message.startswith("given up: engine 1 died 3 times in a row without") for message in messages)


def test_an_error_that_nobody_foresaw_fails_one_question_and_is_tried_again_by_the_next_run(few: Path) -> None:
    with generation(few, "odd") as process:
        counts = result(process)
    assert counts["finished"] == FEW - 1
    assert counts["failed"] == {"unexpected": 1}
    (failure,) = read_rows(few / "generate" / "failures", FAILURES)
    assert failure["message"] == "KeyError: 'q7'"
    (told,) = [line for line in read_log(few / "generate") if line["event"] == "question_failed"]
    assert (told["question_id"], told["kind"], told["message"]) == ("q7", "unexpected", "KeyError: 'q7'")
    with generation(few) as process:
        assert result(process)["finished"] == FEW


@pytest.mark.vllm
def test_an_engine_process_that_dies_and_one_that_hangs_are_replaced_and_all_questions_finish(
    folder: Path, base_model: Path
) -> None:
    shorten(folder, 24)
    settings = [
        "teacher.backend=vllm",
        f"teacher.model={base_model}",
        "teacher.engine=async",
        "teacher.kv_cache_gib=0.3",
        "teacher.watchdog_s=15",
        "loop.step_limit=3",
        "loop.rationale_tokens=48",
        "generate.in_flight=8",
    ]
    engines = []
    with generation(folder, "none", *settings) as process:
        for blow in (signal.SIGKILL, signal.SIGSTOP):
            before = calls(folder)
            wait_until(lambda before=before: calls(folder) > before + 8)
            engines.append(process_named(process, "VLLM::EngineCore"))
            engines[-1].send_signal(blow)
        counts = result(process)
        assert not any(engine.is_running() and engine.status() != psutil.STATUS_ZOMBIE for engine in engines)
    assert engines[0] != engines[1]
    assert counts["finished"] + sum(counts["failed"].values()) == 24
    # Those in flight at a death run again; only a lease of two that was open at both is given up until the next run.
    assert set(counts["failed"]) <= {"engine"}
    assert len(contents(folder)) == counts["finished"] >= 24 - 2
