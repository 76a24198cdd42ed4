"""The id of a request and its line in the log."""

import asyncio
import json
from typing import Any

import pytest

from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError
from steper_ray.serve.faults import sentence_of
from steper_ray.serve.log import RequestLog, is_valid_id, requests
from steper_ray.serve.meters import CLIENT_GONE, ROUTES, route_of
from steper_ray.telemetry.origin import Origin
from tests.unit.local_service import Service, plan_of, quick_restarts  # noqa: F401

ASKED = {"id": "q", "question": "A secret question?"}


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads the lines written so far."""
    written: list[str] = []
    monkeypatch.setattr(requests, "info", written.append)
    monkeypatch.setattr(requests, "warning", written.append)
    return lambda: [json.loads(line) for line in written]


async def test_an_answer_leaves_one_line_without_a_word_of_the_question(lines: Any) -> None:
    response = await Service(plan_of()).post("/v1/answer", ASKED, headers={"X-Request-ID": "abc/1"})
    assert response.headers["X-Request-ID"] == "abc/1"
    [line] = [line for line in lines() if line["request_id"] == "abc/1"]
    assert line.pop("seconds") > 0
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "run": "steper",
        "phase": "serve",
        "event": "request",
        "request_id": "abc/1",
        "method": "POST",
        "path": "/v1/answer",
        "status": 200,
        "question_id": "q",
        "steps": 3,
        "stop": "answered",
        "partial": False,
        "completion_tokens": 19,
    }


async def test_a_stream_and_an_error_leave_theirs(lines: Any) -> None:
    service = Service(plan_of(), student={"stream": 1})
    await service.post("/v1/answer/stream", ASKED)
    await service.post("/v1/answer", {"question": ""})
    restarted, streamed, refused = lines()[-3:]
    assert (streamed["steps"], streamed["restarts"], streamed["status"]) == (3, 1, 200)
    assert (restarted["event"], restarted["level"], restarted["step"]) == ("step_restarted", "warning", 1)
    assert (restarted["request_id"], restarted["question_id"]) == (streamed["request_id"], "q")
    assert (refused["status"], refused["error"]) == (422, "invalid_request")
    assert "secret" not in json.dumps(lines())


async def test_an_id_is_made_up_where_none_is_given_and_health_checks_leave_no_line(lines: Any) -> None:
    service, before = Service(plan_of()), len(lines())
    async with service.client() as client:
        ids = [(await client.get("/healthz")).headers["X-Request-ID"] for _ in range(2)]
    assert ids[0] != ids[1]
    assert all(len(id) == 32 for id in ids)
    assert len(lines()) == before


async def test_a_death_of_the_loop_names_request_and_question(lines: Any) -> None:
    await Service(plan_of(), loop={"steps": 1}).post("/v1/answer", ASKED, headers={"X-Request-ID": "abc/2"})
    died, answered = [line for line in lines() if line["request_id"] == "abc/2"]
    assert (died["event"], died["deployment"], died["question_id"]) == ("replica_died", "loop", "q")
    assert (answered["event"], answered["status"]) == ("request", 200)


async def test_a_refusal_leaves_its_kind_and_no_message_since_it_may_quote_the_question(lines: Any) -> None:
    class Broken:
        def search(self, query: str, k: int) -> Any:
            raise BackendError(FailureKind.REFUSED, f"nobody may ask {query!r}")

    response = await Service(plan_of(), Broken()).post("/v1/answer", ASKED)
    assert response.status_code == 422
    failed, answered = lines()[-2:]
    assert (failed["event"], failed["question_id"], failed["kind"]) == ("question_failed", "q", "refused")
    assert failed["request_id"] == answered["request_id"]
    assert "secret" not in json.dumps([failed, answered])


SECRET = "/secret/path"


class Unreadable:
    """A retriever whose index cannot be read."""

    def search(self, query: str, k: int) -> Any:
        raise BackendError(FailureKind.RETRIEVER, SECRET)


CHAT = {"model": "steper", "messages": [{"role": "user", "content": "Who?"}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/answer", ASKED),
        ("/v1/answer/stream", ASKED),
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", {**CHAT, "stream": True}),
    ],
)
async def test_what_a_backend_says_of_its_failure_stands_in_the_log_and_in_no_answer(
    lines: Any, path: str, body: dict[str, Any]
) -> None:
    response = await Service(plan_of(), Unreadable()).post(path, body)
    assert '"message": "the search failed"' in response.text.replace('":"', '": "')
    assert SECRET not in response.text
    told = [(line["event"], line["kind"], line["message"]) for line in lines() if "kind" in line]
    assert told == [("step_restarted", "retriever", SECRET)] * 3 + [("question_failed", "retriever", SECRET)]


async def test_why_the_service_is_not_ready_stands_in_the_log_alone(
    lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steper_ray.serve.handles.PAUSE_S", 0.001)
    service = Service(plan_of(), Unreadable())
    async with service.client() as client:
        response = await client.get("/readyz")
    assert (response.status_code, response.json()["error"]["message"]) == (503, "the search failed")
    [line] = lines()
    assert (line["event"], line["kind"]) == ("not_ready", "retriever")
    assert SECRET in line["message"]


def test_every_kind_of_failure_has_a_sentence_for_clients() -> None:
    assert all(sentence_of(kind) for kind in FailureKind)


async def test_a_client_that_leaves_before_the_end_is_marked(lines: Any) -> None:
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/v1/answer/stream", "headers": []}
    seen: list[tuple[str, int, str | None]] = []

    class Meters:
        def begun(self) -> None: ...

        def ended(self, path: str, status: int, seconds: float, fault: str | None) -> None:
            seen.append((path, status, fault))

    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: 1", "more_body": True})
        raise asyncio.CancelledError

    async def nothing(*message: Any) -> Any: ...

    log = RequestLog(half, origin=Origin("serve", "steper"), meters=Meters())  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await log(scope, nothing, nothing)
    assert seen == [("/v1/answer/stream", CLIENT_GONE, None)]
    [line] = lines()
    assert (line["status"], line["gone"]) == (200, True)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/answer", "/v1/answer"),
        ("/v1/answer/", "other"),
        ("/", "page"),
        ("/openapi.json", "page"),
        ("/made/up", "other"),
    ],
)
def test_made_up_paths_make_up_no_labels(path: str, route: str) -> None:
    assert route_of(path) == route


def test_every_route_of_the_api_has_a_label() -> None:
    routes = {getattr(route, "path", "") for route in Service(plan_of()).api.routes}
    assert {path for path in routes if path.startswith("/v1/")} == set(ROUTES)


@pytest.mark.parametrize(
    ("id", "valid"),
    [("a", True), ("!~", True), ("x" * 128, True), ("x" * 129, False), ("", False), ("a b", False), ("é", False)],
)
def test_an_id_is_short_visible_ascii(id: str, valid: bool) -> None:
    assert is_valid_id(id) is valid


async def test_an_id_that_is_not_is_refused() -> None:
    response = await Service(plan_of()).post("/v1/answer", ASKED, headers={"X-Request-ID": "a b"})
    assert response.status_code == 422
    assert response.json()["error"]["message"] == "X-Request-ID: must be 1 to 128 visible ASCII characters"
