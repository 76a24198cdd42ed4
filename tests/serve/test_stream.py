"""Streams of the running service, with a scripted student that takes its time: what arrives when; what a kill costs."""

import json
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from steper_ray.backends.interfaces import Request
from steper_ray.backends.scripted import log_normal_latency
from steper_ray.config import load_config
from steper_ray.core.types import Prompt
from steper_ray.serve.run import serving
from tests.serve.replicas import hang_searches, ongoing, process_id, replicas, send_signal
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.lucene]

QUESTION = "Which show did Roy Clark host?"
LATENCY_S = 0.6
Event = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def service(ray_cluster: None, halsey: Path) -> Iterator[httpx.Client]:
    overrides = [
        f"run.folder={halsey}",
        "student.backend=scripted",
        f"student.scripted_latency_s={LATENCY_S}",
        "serve.port=0",
        "serve.health_timeout_s=2",
        "serve.model_name=halsey",
    ]
    with serving(load_config(None, overrides)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def patient_id(least_s: float) -> str:
    """An id whose first step takes the scripted student at least so long."""
    draw = log_normal_latency(LATENCY_S, 0.5)
    numbers = (f"patient-{number}" for number in count())
    return next(id for id in numbers if draw(Request(Prompt(()), (), 1, question_id=id, step=1)) >= least_s)


def events_of(response: httpx.Response) -> Iterator[Event]:
    """Name and content of each event, as it arrives."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def stream(service: httpx.Client, id: str) -> Any:
    return service.stream("POST", "/v1/answer/stream", json={"question": QUESTION, "id": id})


def test_events_arrive_while_the_student_writes(service: httpx.Client) -> None:
    started, arrived = time.monotonic(), list[tuple[float, str]]()
    with stream(service, "q1") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        told = ""
        for name, data in events_of(response):
            arrived.append((time.monotonic() - started, name))
            if name == "rationale" and data["step"] == 1:
                told += data["text"]
            if name == "answer":
                assert data["answer"] == "answer to q1"
    order = [name for _, name in arrived]
    assert order[:3] == ["step_started", "passages", "rationale"]
    assert order[-1] == "answer"
    assert told == "Passage 1 says something about q1."
    pieces = [at for at, name in arrived if name == "rationale"]
    assert len(pieces) > 6
    assert arrived[0][0] < 0.5 * arrived[-1][0]


def test_a_request_id_comes_back_once(service: httpx.Client) -> None:
    response = service.get("/healthz", headers={"X-Request-ID": "abc-1"})
    assert response.headers.get_list("x-request-id") == ["abc-1"]
    assert len(service.get("/healthz").headers["x-request-id"]) >= 32
    refused = service.get("/healthz", headers={"X-Request-ID": "a b"})
    assert refused.status_code == 422


def test_a_client_that_leaves_frees_the_engine_within_a_second(service: httpx.Client) -> None:
    with stream(service, patient_id(1.9)) as response:
        events = events_of(response)
        assert [next(events)[0] for _ in range(2)] == ["step_started", "passages"]
        assert ongoing("student") == 1
    left = time.monotonic()
    while ongoing("student"):
        assert time.monotonic() - left < 1
        time.sleep(0.05)


def test_a_plain_request_that_is_given_up_frees_the_engine_too(service: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        service.post("/v1/answer", json={"question": QUESTION, "id": patient_id(1.9)}, timeout=0.7)
    left = time.monotonic()
    while ongoing("student"):
        assert time.monotonic() - left < 1
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("deployment", ["student", "loop"])
def test_a_replica_killed_in_mid_answer_costs_no_stream(service: httpx.Client, deployment: str) -> None:
    with stream(service, patient_id(0.8)) as response:
        events = list[Event]()
        for event in events_of(response):
            events.append(event)
            if [name for name, _ in events].count("rationale") == 1 and event[0] == "rationale":
                send_signal(deployment)
    names = [name for name, _ in events]
    assert names[-1] == "answer", events[-1]
    assert events[names.index("step_restarted")][1]["step"] == 1
    answer = events[-1][1]
    assert answer["stop"] == "answered"
    assert [step["rationale"] for step in answer["steps"]] == shown(events)


@pytest.mark.slow
def test_a_retriever_killed_in_mid_search_costs_no_stream(service: httpx.Client) -> None:
    """A search that has begun: one on its way would be sent to another replica by Serve itself."""
    hang_searches()
    with stream(service, "q2") as response:
        events = list[Event]()
        for event in events_of(response):
            events.append(event)
            if len(events) == 1:
                wait_until(lambda: ongoing("retriever"))
                send_signal("retriever")
    names = [name for name, _ in events]
    assert names[:2] == ["step_started", "step_restarted"], events
    assert events[1][1]["step"] == 1
    assert names[-1] == "answer", events[-1]
    # Not the answer itself: where the retriever starts slowly, the deadline forces another one.
    assert events[-1][1]["steps"][0]["rationale"] == "Passage 1 says something about q2."


def shown(events: list[Event]) -> list[str]:
    """The rationales as a client puts them together."""
    texts: dict[int, str] = {}
    for name, data in events:
        if name == "rationale":
            texts[data["step"]] = texts.get(data["step"], "") + data["text"]
        elif name == "step_restarted":
            texts.pop(data["step"], None)
    return [texts[step] for step in sorted(texts)]


@pytest.mark.slow
def test_a_wedged_engine_is_replaced_and_its_answer_goes_on(service: httpx.Client) -> None:
    [wedged] = replicas("student")
    before = process_id(wedged)
    with stream(service, patient_id(0.8)) as response:
        events = list[Event]()
        for event in events_of(response):
            events.append(event)
            if len(events) == 3:
                send_signal("student", signal.SIGSTOP)
    assert events[-1][0] == "answer", events[-1]
    assert "step_restarted" in [name for name, _ in events]
    [after] = replicas("student")
    assert process_id(after) != before
