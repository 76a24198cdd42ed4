"""The HTTP side of the service, without Ray Serve: a stand-in handle takes the loop's place."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from ray.serve.exceptions import BackPressureError

from steper_ray.core.types import FailureKind, LoopSettings, Passage, Question, Step, StopReason, Trajectory, Usage
from steper_ray.errors import BackendError
from steper_ray.sections.model import ModelSection
from steper_ray.sections.serve import ServeSection
from steper_ray.serve.answered import Answered, LoopOptions
from steper_ray.serve.ingress import Ingress
from steper_ray.serve.plan import ServicePlan

LIMITS = ServeSection(max_question_chars=40, max_body_bytes=1000, deadline_s=0.3)
PLAN = ServicePlan(LoopSettings(step_limit=3), ModelSection(backend="scripted"), (), Path("index"), LIMITS, 0, 1)

Drive = Callable[[Question, LoopOptions], Awaitable[Answered]]


class Response:
    """What a handle's call returns: awaitable, an iterator of this one item, and cancellable."""

    def __init__(self, work: Awaitable[Any]) -> None:
        self._work = work

    def __await__(self) -> Any:
        return self._work.__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        yield await self._work

    def cancel(self) -> None:
        pass


@dataclass
class Method:
    drive: Any

    def remote(self, *arguments: Any) -> Response:
        return Response(self.drive(*arguments[:2]))


@dataclass
class Loop:
    steps: Method
    ready: Method

    def options(self, stream: bool) -> "Loop":
        return self


async def quick(question: Question, options: LoopOptions) -> Answered:
    steps = (
        Step("query", ("a",), (Passage("a", "Title", "Text.", 2.5),), "First.", usage=Usage(10, 4, 3, 0.5)),
        Step("more", ("a",), (), "So the answer is: yes.", usage=Usage(20, 8, 5, 0.25)),
    )
    return Answered(Trajectory(question, 0, steps, "yes", StopReason.ANSWERED), 0.1, 0.75)


async def nothing() -> None:
    return None


def client(drive: Drive = quick, ready: Callable[[], Awaitable[None]] = nothing) -> httpx.AsyncClient:
    api = Ingress(PLAN, Loop(Method(drive), Method(ready))).__serve_build_asgi_app__()
    # An error that nobody expected is answered, and then raised again for the log.
    transport = httpx.ASGITransport(app=api, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def post(body: Any, drive: Drive = quick) -> httpx.Response:
    async with client(drive) as http:
        # Escaped, unlike httpx's own form: a lone surrogate would not leave this side otherwise.
        headers = {"Content-Type": "application/json"}
        return await http.post("/v1/answer", content=json.dumps(body), headers=headers)


def failing(error: Exception) -> Drive:
    async def drive(question: Question, options: LoopOptions) -> Answered:
        raise error

    return drive


async def test_an_answer_carries_steps_passages_and_summed_usage() -> None:
    response = await post({"question": " Is  it so? ", "id": "q7"})
    assert response.status_code == 200
    body = response.json()
    assert body.pop("timings")["writing_s"] == 0.75
    assert body == {
        "id": "q7",
        "question": "Is it so?",
        "answer": "yes",
        "stop": "answered",
        "partial": False,
        "steps": [
            {
                "query": "query",
                "rationale": "First.",
                "passages": [{"id": "a", "title": "Title", "text": "Text.", "score": 2.5}],
                "usage": {"prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 3, "seconds": 0.5},
            },
            {
                "query": "more",
                "rationale": "So the answer is: yes.",
                "passages": [],
                "usage": {"prompt_tokens": 20, "cached_tokens": 8, "completion_tokens": 5, "seconds": 0.25},
            },
        ],
        "usage": {"prompt_tokens": 30, "cached_tokens": 12, "completion_tokens": 8, "seconds": 0.75},
    }


async def test_options_reach_the_loop_and_an_id_is_made_up() -> None:
    seen: list[tuple[Question, LoopOptions, float]] = []

    async def drive(question: Question, options: LoopOptions) -> Answered:
        seen.append((question, options, time.time()))
        return await quick(question, options)

    wishes = {"step_limit": 3, "temperature": 1, "force_answer": False, "k": 2, "strategy": "reasoning_path"}
    before = time.time()
    response = await post({"question": "So?", "deadline_s": 0.2, **wishes}, drive)
    [(question, options, arrived)] = seen
    assert options == LoopOptions(options.until, step_limit=3, temperature=1.0, force_answer=False, k=2)
    assert before + 0.2 <= options.until <= arrived + 0.2
    assert len(question.id) == 32
    assert response.json()["id"] == question.id


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"question": "So?", "quesion": 1}, "unknown field 'quesion'; known are question, id, step_limit"),
        ({}, "question: is missing"),
        ({"question": "  \n"}, "question: must not be empty"),
        ({"question": "x" * 41}, "question: has 41 characters, at most 40 are allowed"),
        ({"question": 5}, "question: input should be a valid string"),
        ({"question": "\ud800"}, "question: "),
        ({"question": "So?", "step_limit": 4}, "step_limit: must be at most 3, found 4"),
        ({"question": "So?", "step_limit": 0}, "step_limit: input should be greater than or equal to 1"),
        ({"question": "So?", "step_limit": "2"}, "step_limit: input should be a valid integer"),
        ({"question": "So?", "k": 5}, "k: must be at most 4, found 5"),
        ({"question": "So?", "k": 10**400}, "k: must be at most 4, found 10000000000000000000…"),
        ({"question": "So?", "deadline_s": 0.31}, "deadline_s: must be at most 0.3, found 0.31"),
        ({"question": "So?", "deadline_s": 0}, "deadline_s: input should be greater than 0"),
        ({"question": "So?", "strategy": "self_ask"}, "strategy: the student was trained with 'reasoning_path'"),
        ({"question": "So?", "strategy": "guess"}, "strategy: input should be 'reasoning_path' or 'self_ask'"),
        ({"question": "So?", "temperature": 2.5}, "temperature: input should be less than or equal to 2"),
        ({"question": "So?", "id": ""}, "id: "),
        ([], "the body: "),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(body: Any, message: str) -> None:
    response = await post(body)
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["type"] == "invalid_request"
    assert error["message"].startswith(message)


async def test_a_body_that_is_not_json_is_refused() -> None:
    async with client() as http:
        response = await http.post("/v1/answer", content=b"{", headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["error"]["message"].startswith("the body is not JSON")


async def test_a_body_beyond_the_limit_is_refused_however_it_is_sent() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 100

    for body in (b" " * 1001, pieces()):
        async with client() as http:
            response = await http.post("/v1/answer", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 413
        assert response.json() == {"error": {"type": "body_too_large", "message": "the body is longer than 1000 bytes"}}


async def test_a_question_that_waits_past_its_deadline_is_told_to_come_back() -> None:
    """The loop would have said by itself that the time is up, had it begun."""
    ended = asyncio.Event()

    async def drive(question: Question, options: LoopOptions) -> Answered:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        raise AssertionError

    response = await post({"question": "So?"}, drive)
    assert response.status_code == 503
    assert response.json() == {
        "error": {"type": "overloaded", "message": "no turn came within the deadline; ask again later"}
    }
    assert response.headers["Retry-After"] == "1"
    assert ended.is_set()


@pytest.mark.parametrize(
    ("error", "status", "type", "retry_after"),
    [
        (BackPressureError(3, 3), 503, "overloaded", "1"),
        (BackendError(FailureKind.ENGINE, "the engine died"), 503, "unavailable", "5"),
        (BackendError(FailureKind.TIMEOUT, "no completion"), 504, "deadline_exceeded", None),
        (BackendError(FailureKind.PROMPT_TOO_LONG, "too long"), 422, "unanswerable", None),
        (KeyError("secret"), 500, "internal", None),
    ],
)
async def test_failures_are_typed(error: Exception, status: int, type: str, retry_after: str | None) -> None:
    response = await post({"question": "So?"}, failing(error))
    assert response.status_code == status
    assert response.json()["error"]["type"] == type
    assert "secret" not in response.text
    assert response.headers.get("Retry-After") == retry_after


async def test_unknown_paths_and_methods_are_typed_too() -> None:
    async with client() as http:
        missing, method = await http.get("/v2"), await http.get("/v1/answer")
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found")
    assert (method.status_code, method.json()["error"]["type"]) == (405, "method_not_allowed")


async def test_alive_is_not_ready() -> None:
    async def down() -> None:
        raise BackendError(FailureKind.ENGINE, "no engine")

    async with client(ready=down) as http:
        alive, ready = await http.get("/healthz"), await http.get("/readyz")
    assert alive.status_code == 200
    assert ready.status_code == 503
    assert ready.json() == {"error": {"type": "unavailable", "message": "the student's engine failed"}}
    async with client() as http:
        assert (await http.get("/readyz")).json() == {"status": "ready"}
