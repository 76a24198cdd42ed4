"""The whole service on one machine: recorded rationales, a real index, and replicas that are killed."""

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
