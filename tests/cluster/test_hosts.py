"""A head and two workers in namespaces: links are cut, raylets and hosts die, and the work goes on."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from steper_ray.config import load_config
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.index.run import build
from steper_ray.train.checkpoint_folders import all_checkpoints
from steper_ray.train.journal import read_journal, updates_of
from tests.cluster.hosts import CLUSTER, HEAD, ONE, TWO, Hosts, Program
from tests.train.tiny import settings_of, write_inputs
from tests.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.ray, pytest.mark.lucene, pytest.mark.slow]

QUESTIONS = 1000
ASKED = 40
ASK_PROGRAM = Path(__file__).with_name("ask_program.py")
ENGINE, RETRIEVER = "ray::MapWorker", "ray::RetrieverActor"
Tell = Callable[[str, float], None]


@pytest.fixture(scope="module")
def hosts(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """A cluster; a worker takes both engines and the retriever, but not two training workers."""
    made = Hosts(tmp_path_factory.mktemp("hosts") / "shared", cpus=3)
    try:
        for name in (HEAD, ONE, TWO):
            made.boot(name)
        made.await_nodes(HEAD, ONE, TWO)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with its index, and questions that the scripted teacher gets right."""
    folder = tmp_path_factory.mktemp("world")
    corpus = [{"_id": f"p{n}", "title": f"Town {n}", "text": "It lies."} for n in range(50)]
    asked = [
        {"id": f"q{n}", "question": f"Where lies town {n}?", "golden_answers": [f"answer to q{n}"]}
        for n in range(QUESTIONS)
    ]
    for name, rows in (("corpus", corpus), ("questions", asked)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    build(load_config(None, [f"run.folder={folder}", f"index.corpus={folder / 'corpus.jsonl'}"]))
    return folder


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Keeps and prints how long something took."""

    def told(what: str, since: float) -> None:
        seconds = round(time.time() - since, 1)
        record_property(what, seconds)
        print(f"\n{seconds:5} s  {what}", flush=True)

    return told


def generation(world: Path, folder: Path, *changes: str) -> list[str]:
    """A generation by two engines, one on each worker, and a retriever."""
    return [
        f"run.folder={folder}",
        f"index.folder={world / 'index'}",
        f"generate.questions={world / 'questions.jsonl'}",
        "teacher.backend=scripted",
        "teacher.scripted_latency_s=0.5",
        "generate.actors=2",
        "generate.in_flight=16",
        "generate.flush_rows=8",
        "generate.flush_s=1",
        *changes,
    ]


def finished(folder: Path) -> int:
    """Rows on disk."""
    return sum(pq.read_metadata(part).num_rows for part in (folder / "generate" / "trajectories").glob("*.parquet"))


def at_work(hosts: Hosts, title: str = ENGINE) -> dict[psutil.Process, str]:
    """Engines, or other processes of a run, and their hosts."""
    return {process: name for name in (ONE, TWO) if name in hosts.up for process in hosts.processes(name, title)}


def await_recovery(hosts: Hosts, folder: Path, lost: set[psutil.Process]) -> None:
    """Wait until there are two engines beside those that were lost, and something new is finished."""
    wait_until(lambda: len({*at_work(hosts)} - lost) == 2, every_s=0.2)
    before = finished(folder)
    wait_until(lambda: finished(folder) > before, every_s=0.2)


def engines_on(hosts: Hosts, name: str) -> set[psutil.Process]:
    return {process for process, host in at_work(hosts).items() if host == name}


def expected(number: int) -> tuple[str, list[tuple[str, str]]]:
    """Answer, and queries with their rationales, of a question that nobody disturbed."""
    name, asked = f"q{number}", f"Where lies town {number}?"
    first, second = (f"Passage {step} says something about {name}." for step in (1, 2))
    last = f"So the answer is: answer to {name}"
    return f"answer to {name}", [(asked, first), (f"{asked} {first}", second), (f"{asked} {second}", last)]


def assert_whole(folder: Path) -> None:
    """Every key once with the contents of an undisturbed run, counts add up, nothing half written."""
    rows = list(read_rows(folder / "generate" / "trajectories", TRAJECTORIES))
    assert len(rows) == QUESTIONS
    found = {
        row["question_id"]: (row["answer"], [(step["query"], step["rationale"]) for step in row["steps"]])
        for row in rows
    }
    assert found == {f"q{n}": expected(n) for n in range(QUESTIONS)}
    counts = json.loads((folder / "generate" / "manifest.json").read_text())["counts"]
    assert [counts[name] for name in ("asked", "finished", "failed", "not_started")] == [QUESTIONS, QUESTIONS, {}, 0]
    assert not list((folder / "generate" / "trajectories").glob(".*.tmp"))


def test_a_generation_outlives_a_cut_link_a_dead_raylet_the_retrievers_host_and_its_driver(
    hosts: Hosts, world: Path, tmp_path: Path, tell: Tell
) -> None:
    job = hosts.steper("generate", *generation(world, tmp_path), log="generate.log")
    wait_until(lambda: finished(tmp_path) > 0, every_s=0.2)
    assert sorted(at_work(hosts).values()) == [ONE, TWO]
    (home,) = at_work(hosts, RETRIEVER).values()
    away = TWO if home == ONE else ONE

    began, lost = time.time(), engines_on(hosts, away)
    hosts.cut(away)
    await_recovery(hosts, tmp_path, lost)
    tell("a cut link: its engine works elsewhere", began)
    hosts.await_nodes(HEAD, home)
    began = time.time()
    hosts.mend(away)
    hosts.await_nodes(HEAD, ONE, TWO)
    tell("the link is back: the host is in the cluster again", began)

    began, lost = time.time(), {*at_work(hosts)}
    for raylet in hosts.processes(home, "raylet"):
        raylet.kill()
    await_recovery(hosts, tmp_path, lost)
    tell("a dead raylet with both engines and the retriever: all of them work again", began)
    hosts.await_nodes(HEAD, ONE, TWO)
    tell("a dead raylet: the host is in the cluster again", began)

    (home,) = at_work(hosts, RETRIEVER).values()
    began, lost = time.time(), engines_on(hosts, home)
    hosts.lose(home)
    await_recovery(hosts, tmp_path, lost)
    tell("the retriever's host is gone: all work elsewhere", began)
    hosts.boot(home)

    job.kill()
    began, kept = time.time(), finished(tmp_path)
    assert 0 < kept < QUESTIONS
    again = generation(world, tmp_path, "teacher.scripted_latency_s=0")
    job = hosts.steper("generate", *again, log="generate-again.log")
    wait_until(lambda: finished(tmp_path) > kept, every_s=0.2)
    tell("the driver is killed and submitted again: something new is finished", began)
    assert job.process.wait() == 0, job.printed()
    assert_whole(tmp_path)


def test_a_training_whose_host_is_gone_continues_from_its_checkpoint_when_the_host_is_back(
    hosts: Hosts, tmp_path: Path, tell: Tell
) -> None:
    settings = settings_of(write_inputs(tmp_path), tmp_path, "train.cpus_per_worker=2", "train.epochs=4")
    hosts.await_nodes(HEAD, ONE, TWO)
    job = hosts.steper("train", *settings, log="train.log")
    wait_until(lambda: updates(tmp_path)[-1:] > [6], every_s=0.1)
    assert sorted(at_work(hosts, "ray::RayTrainWorker").values()) == [ONE, TWO]
    (controller,) = hosts.processes(HEAD, "ray::TrainController")
    assert controller.environ()["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] == "1800", "how long a host is waited for"

    began = time.time()
    hosts.lose(TWO)
    hosts.await_nodes(HEAD, ONE)
    tell("a lost host: the cluster has given it up", began)
    reached = int(all_checkpoints(tmp_path / "train")[-1].name[-8:])
    began = time.time()
    hosts.boot(TWO)
    hosts.await_nodes(HEAD, ONE, TWO)
    tell("a host that is switched on: it is in the cluster", began)
    last = updates(tmp_path)[-1]
    wait_until(lambda: updates(tmp_path)[-1] > last, every_s=0.1)
    tell("a host that is switched on: the training is further than it was at the loss", began)
    assert job.process.wait() == 0, job.printed()
    assert updates(tmp_path) == list(range(1, 37))
    assert reached > 0


def updates(folder: Path) -> list[int]:
    return [line["update"] for line in updates_of(read_journal(folder / "train"))]


def test_a_service_whose_ingress_is_lost_with_its_host_answers_all_that_comes_afterwards(
    hosts: Hosts, world: Path, tmp_path: Path, tell: Tell
) -> None:
    hosts.await_nodes(HEAD, ONE, TWO)
    settings = [f"run.folder={tmp_path}", f"index.folder={world / 'index'}"]
    student = ["student.backend=scripted", "student.scripted_latency_s=0.3"]
    service = hosts.steper("serve", *settings, *student, log="serve.log")
    wait_until(lambda: "answers" in service.printed(), every_s=0.2)
    (door,) = at_work(hosts, "ray::ServeReplica:steper:ingress").values()
    asker = hosts.python(str(ASK_PROGRAM), "http://127.0.0.1:8000", str(ASKED), log="ask.log")
    wait_until(lambda: answers(asker), every_s=0.2)

    began = time.time()
    hosts.lose(door)
    wait_until(lambda: len(answers(asker)) == ASKED, every_s=0.2)
    hosts.boot(door)
    later = [one for one in answers(asker) if one["asked"] > began]
    tell("the ingress's host is gone: the longest wait for an answer", time.time() - max(one["took"] for one in later))
    print(f"what was under way: {[one for one in answers(asker) if one['asked'] < began < one['asked'] + one['took']]}")
    assert len(later) > ASKED / 2
    assert {one["status"] for one in later} == {200}, later
    service.terminate()
    assert service.process.wait() == 0, service.printed()


def answers(asker: Program) -> list[dict[str, Any]]:
    return [json.loads(line) for line in asker.printed().split("\n")[:-1]]


def test_without_a_head_a_job_ends_and_says_so_and_a_new_head_takes_it_up(
    hosts: Hosts, world: Path, tmp_path: Path, tell: Tell
) -> None:
    hosts.await_nodes(HEAD, ONE, TWO)
    job = hosts.steper("generate", *generation(world, tmp_path), log="headless.log")
    wait_until(lambda: finished(tmp_path) > 0, every_s=0.2)
    began = time.time()
    hosts.kill_head()
    assert job.process.wait() == 1
    tell("the head is gone: the job has ended", began)
    said = job.printed().splitlines()
    assert any("does not answer; it is waited for" in line for line in said)
    assert said[-1].startswith(f"PhaseFailed: the head of the cluster at {CLUSTER} has not answered for 18 s")
    kept = finished(tmp_path)
    # A head that comes while they still wait for the old one is noticed after half a minute more.
    wait_until(lambda: not [*hosts.processes(ONE, "raylet"), *hosts.processes(TWO, "raylet")], every_s=0.2)
    began = time.time()
    hosts.start_ray(HEAD)
    hosts.await_nodes(HEAD, ONE, TWO)
    tell("a new head: both workers are in its cluster", began)
    began = time.time()
    job = hosts.steper("generate", *generation(world, tmp_path, "teacher.scripted_latency_s=0"), log="headed.log")
    wait_until(lambda: finished(tmp_path) > kept, every_s=0.2)
    tell("submitted again: something new is finished", began)
    assert job.process.wait() == 0, job.printed()
    assert_whole(tmp_path)
