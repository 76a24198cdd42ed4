"""The id of a request and its line in the log."""

import json
from typing import Any

import pytest

from steper_ray.serve.log import is_valid_id, requests
from tests.unit.local_service import Service, plan_of, quick_restarts  # noqa: F401

ASKED = {"id": "q", "question": "A secret question?"}


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads the lines written so far."""
    written: list[str] = []
    monkeypatch.setattr(requests, "info", written.append)
    return lambda: [json.loads(line) for line in written]


async def test_an_answer_leaves_one_line_without_a_word_of_the_question(lines: Any) -> None:
    response = await Service(plan_of()).post("/v1/answer", ASKED, headers={"X-Request-ID": "abc/1"})
    assert response.headers["X-Request-ID"] == "abc/1"
    [line] = [line for line in lines() if line["request_id"] == "abc/1"]
    assert line.pop("seconds") > 0
    assert line == {
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
    streamed, refused = lines()[-2:]
    assert (streamed["steps"], streamed["restarts"], streamed["status"]) == (3, 1, 200)
    assert (refused["status"], refused["error"]) == (422, "invalid_request")
    assert "secret" not in json.dumps(lines())


async def test_an_id_is_made_up_where_none_is_given_and_health_checks_leave_no_line(lines: Any) -> None:
    service, before = Service(plan_of()), len(lines())
    async with service.client() as client:
        ids = [(await client.get("/healthz")).headers["X-Request-ID"] for _ in range(2)]
    assert ids[0] != ids[1]
    assert all(len(id) == 32 for id in ids)
    assert len(lines()) == before


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
