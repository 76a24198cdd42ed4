"""The Python client against the service in one process."""

from typing import Any

import httpx
import pytest

from steper_ray.client import AsyncClient, EventReader
from steper_ray.errors import ServiceError
from steper_ray.sections.serve import ServeSection
from tests.unit.local_service import Service, plan_of


def client_of(service: Service, key: str | None = None) -> AsyncClient:
    client = AsyncClient("http://127.0.0.1/", key)
    client._http = httpx.AsyncClient(transport=httpx.ASGITransport(app=service.api), headers=client._http.headers)
    return client


async def test_an_answer_takes_the_options_of_the_service() -> None:
    async with client_of(Service(plan_of())) as client:
        answer = await client.answer("Who?", id="q", step_limit=1, force_answer=False)
    assert (answer["id"], len(answer["steps"]), answer["stop"]) == ("q", 1, "step_limit")


async def test_a_stream_ends_with_its_answer() -> None:
    async with client_of(Service(plan_of())) as client:
        events = [event async for event in client.stream("Who?", id="q")]
    assert events[0] == ("step_started", {"id": "q", "step": 1, "query": "Who?"})
    assert events[-1][0] == "answer"
    assert events[-1][1]["answer"] == "answer to q"


async def test_errors_carry_their_type_and_when_to_come_back() -> None:
    async with client_of(Service(plan_of(ServeSection(deadline_s=0.1), scripted_latency_s=9))) as client:
        with pytest.raises(ServiceError) as invalid:
            await client.answer("")
        with pytest.raises(ServiceError) as late:
            async for _ in client.stream("Who?"):
                pass
    assert (invalid.value.type, str(invalid.value)) == ("invalid_request", "question: must not be empty")
    assert late.value.type == "deadline_exceeded"


async def test_a_refusal_says_when_to_come_back() -> None:
    async def full(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer k"
        error: dict[str, Any] = {"error": {"type": "overloaded", "message": "later"}}
        return httpx.Response(503, json=error, headers={"Retry-After": "1"})

    client = AsyncClient("http://127.0.0.1", key="k")
    client._http = httpx.AsyncClient(transport=httpx.MockTransport(full), headers=client._http.headers)
    for ask in (client.answer("Who?"), anext(client.stream("Who?"))):
        with pytest.raises(ServiceError) as refused:
            await ask
        assert (refused.value.type, refused.value.retry_after_s) == ("overloaded", 1)


def test_comments_and_unknown_fields_of_a_stream_are_passed_over() -> None:
    reader = EventReader()
    lines = [": keep alive", "id: 4", "event: answer", 'data: {"a": 1}', ""]
    assert [event for line in lines if (event := reader.read(line))] == [("answer", {"a": 1})]
    reader.end("url")
    with pytest.raises(ServiceError, match="ended before its answer"):
        EventReader().end("url")
