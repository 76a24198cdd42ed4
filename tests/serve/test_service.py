"""The whole service on one machine: recorded rationales, a real index, and replicas that are killed."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from ray.serve.generated.serve_pb2 import ASGIRequest
from ray.serve.generated.serve_pb2_grpc import ASGIServiceStub

from steper_ray.config import load_config
from steper_ray.serve.run import serving
from tests.serve.raw import BOMBS, exchange
from tests.serve.replicas import process_id, replicas

pytestmark = [pytest.mark.ray, pytest.mark.lucene]

QUESTION = "Jim Halsey guided the career of the musician who hosted what country variety show?"
ASKED = {"id": "q1", "question": QUESTION}


@pytest.fixture(scope="module")
def service(ray_cluster: None, halsey: Path) -> Iterator[httpx.Client]:
    overrides = [
        f"run.folder={halsey}",
        "student.backend=replay",
        f"student.recordings={halsey / 'chains.jsonl'}",
        "serve.port=0",
        "serve.max_ongoing=2",
        "serve.max_queued=2",
    ]
    with serving(load_config(None, overrides)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def test_a_question_is_answered_over_several_steps(service: httpx.Client) -> None:
    body = service.post("/v1/answer", json=ASKED).json()
    assert (body["id"], body["question"], body["answer"], body["stop"]) == ("q1", QUESTION, "Hee Haw", "answered")
    assert [step["rationale"] for step in body["steps"]] == [
        "Jim Halsey guided the career of Roy Clark.",
        "Roy Clark hosted Hee Haw.",
        "So the answer is: Hee Haw.",
    ]
    first, second, _ = body["steps"]
    assert first["query"] == QUESTION
    assert second["query"] == f"{QUESTION} Jim Halsey guided the career of Roy Clark."
    assert first["passages"][0]["title"] == "Jim Halsey"
    shown = [passage["id"] for step in body["steps"] for passage in step["passages"]]
    assert len(shown) == len(set(shown))
    assert 0 < body["timings"]["retrieval_s"] < body["timings"]["total_s"]


def test_the_ports_between_replicas_answer_nobody_without_the_clusters_token(service: httpx.Client) -> None:
    """They unpickle what they are sent, and listen on every network of the machine."""
    [student] = replicas("student")
    listening = [c.laddr.port for c in psutil.Process(process_id(student)).net_connections("tcp") if not c.raddr]
    refused = []
    for port in listening:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as error:
            ASGIServiceStub(channel).HandleRequest(ASGIRequest(), timeout=10)
        refused.append(error.value.code())
    assert grpc.StatusCode.UNAUTHENTICATED in refused
    assert set(refused) <= {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED}


def test_a_bad_request_is_refused_with_a_typed_error(service: httpx.Client) -> None:
    response = service.post("/v1/answer", json={**ASKED, "top_k": 9})
    assert response.status_code == 422
    assert response.json()["error"]["message"].startswith("unknown field 'top_k'")


def test_a_question_without_a_recording_is_unanswerable(service: httpx.Client) -> None:
    response = service.post("/v1/answer", json={"question": "Who?"})
    assert response.status_code == 422
    assert response.json()["error"]["type"] == "unanswerable"


def test_alive_and_ready(service: httpx.Client) -> None:
    assert service.get("/healthz").json() == {"status": "alive"}
    assert service.get("/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: repr(bomb[:40]))
def test_header_bombs_and_broken_requests_leave_serves_proxy_alive(service: httpx.Client, bomb: bytes) -> None:
    first = exchange(str(service.base_url), bomb, timeout=2).split(b"\r\n")[0]
    assert not first.startswith(b"HTTP/1.1 5"), first
    assert service.get("/healthz").status_code == 200


def asked_with(service: httpx.Client, header: bytes) -> tuple[int, str]:
    """Status and body of a question that is sent with these lines in its head."""
    body = json.dumps(ASKED).encode()
    head = b"POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    found = exchange(
        str(service.base_url), head + b"Content-Length: %d\r\n%s\r\n\r\n%s" % (len(body), header, body), 60
    )
    return int(found.split(b" ")[1]), found.partition(b"\r\n\r\n")[2].decode()


@pytest.mark.parametrize(
    "header",
    [
        b"X-Request-ID: \xff",
        b"X-Request-ID: fine\r\nX-Request-ID: \xff",
        b"X-Request-ID: \xff\r\nX-Request-ID: fine",
        b"X-Request-ID: a b",
        b"X-Request-ID:",
    ],
)
def test_a_request_id_that_serves_proxy_cannot_read_is_refused_by_the_service(
    service: httpx.Client, header: bytes
) -> None:
    status, body = asked_with(service, header)
    assert (status, "must be 1 to 128 visible ASCII characters" in body) == (422, True), body


@pytest.mark.parametrize(
    "header",
    [
        b"X-Request-Timeout-Seconds: 0.000001",
        b"X-Request-Timeout-Seconds: \xff",
        b"X-Request-Disconnect-Disabled: \xff",
        b"Serve_Multiplexed_Model_Id: \xff",
        b"Serve-Multiplexed-Model-Id: \xff",
        b"X-Session-Id: \xff",
        b"Traceparent: \xff",
    ],
)
def test_no_client_steers_serves_proxy(service: httpx.Client, header: bytes) -> None:
    status, body = asked_with(service, header)
    assert (status, "Hee Haw" in body) == (200, True), body


def test_a_burst_beyond_the_limits_is_refused_not_queued_for_ever(service: httpx.Client) -> None:
    with ThreadPoolExecutor(40) as pool:
        responses = list(pool.map(lambda _: service.post("/v1/answer", json=ASKED), range(40)))
    statuses = {response.status_code for response in responses}
    assert statuses == {200, 503}
    refused = next(response for response in responses if response.status_code == 503)
    assert refused.json()["error"]["type"] == "overloaded"
    assert refused.headers["Retry-After"] == "1"
    assert service.post("/v1/answer", json=ASKED).status_code == 200


@pytest.mark.parametrize("deployment", ["retriever", "student", "loop"])
def test_a_killed_replica_costs_no_question(service: httpx.Client, deployment: str) -> None:
    kill_one(deployment)
    response = service.post("/v1/answer", json=ASKED)
    assert response.status_code == 200, response.text
    assert response.json()["answer"] == "Hee Haw"


def kill_one(deployment: str) -> None:
    import ray
    from ray.util import list_named_actors

    names = [actor["name"] for actor in list_named_actors(all_namespaces=True) if f"#{deployment}#" in actor["name"]]
    ray.kill(ray.get_actor(names[0], namespace="serve"))
