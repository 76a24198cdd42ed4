"""`POST /v1/answer/stream`, in one process: the order of events, deaths in mid-answer, deadlines."""

import asyncio
import time
from typing import Any

import pytest
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError

from steper_ray.core.types import Question, Step, Trajectory, Usage
from steper_ray.drive.events import StepFinished, StepStarted
from steper_ray.sections.serve import ServeSection
from steper_ray.serve.answered import Answered, LoopOptions, cut_short
from steper_ray.serve.ingress import Ingress
from tests.unit.local_service import Service, Shelf, events_of, plan_of, quick_restarts  # noqa: F401

ASKED = {"id": "q", "question": "Who?"}
ONE_STEP = ["step_started", "passages", "rationale", "step_finished"]


async def streamed(service: Service, body: Any = ASKED) -> list[tuple[str, dict[str, Any]]]:
    response = await service.post("/v1/answer/stream", body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return events_of(response.text)


def names(events: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Without repetitions of `rationale`: how many pieces there are depends on the time."""
    found = [name for name, _ in events]
    return [name for name, before in zip(found, ["", *found], strict=False) if (name, before) != ("rationale",) * 2]


def written(events: list[tuple[str, dict[str, Any]]], step: int) -> str:
    """What a client shows of a step: pieces in order, void after a restart."""
    text = ""
    for name, data in events:
        if data.get("step") == step:
            text = text + data["text"] if name == "rationale" else "" if name == "step_restarted" else text
    return text


async def test_events_tell_every_step_and_the_answer_comes_last() -> None:
    events = await streamed(Service(plan_of()))
    assert names(events) == [*ONE_STEP * 3, "answer"]
    assert events[0] == ("step_started", {"id": "q", "step": 1, "query": "Who?"})
    assert events[1] == (
        "passages",
        {"step": 1, "passages": [{"id": "p4", "title": "Title", "text": "About Who?", "score": 1.5}]},
    )
    finished = [data for name, data in events if name == "step_finished"]
    assert [data["rationale"] for data in finished] == [
        "Passage 1 says something about q.",
        "Passage 2 says something about q.",
        "So the answer is: answer to q",
    ]
    assert [written(events, step) for step in (1, 2, 3)] == [data["rationale"] for data in finished]
    assert finished[1]["query"] == "Who? Passage 1 says something about q."


async def test_the_last_event_is_what_the_plain_request_answers() -> None:
    service = Service(plan_of())
    (_, last), plain = (await streamed(service))[-1], (await service.post("/v1/answer", ASKED)).json()
    del last["timings"], plain["timings"]
    assert last == plain
    assert (plain["answer"], plain["stop"], plain["partial"]) == ("answer to q", "answered", False)


async def test_an_engine_that_dies_in_mid_rationale_restarts_the_step_in_the_same_stream() -> None:
    events = await streamed(Service(plan_of(scripted_latency_s=0.1), student={"stream": 1}))
    assert names(events)[:5] == ["step_started", "passages", "rationale", "step_restarted", "rationale"]
    restarted = dict(events)["step_restarted"]
    assert restarted == {"step": 1, "reason": "the student's engine failed"}
    assert written(events, 1) == "Passage 1 says something about q."
    assert events[-1][1]["answer"] == "answer to q"
    assert names(events).count("step_started") == 3


async def test_a_retriever_that_dies_restarts_the_step_too() -> None:
    events = await streamed(Service(plan_of(), retriever={"search": 2}))
    assert names(events)[:5] == ["step_started", "step_restarted", "step_restarted", "passages", "rationale"]
    assert events[-1][1]["answer"] == "answer to q"


async def test_a_loop_that_dies_is_followed_by_one_that_goes_on_behind_the_finished_steps() -> None:
    plan = plan_of()
    plain = (await streamed(Service(plan)))[-1][1]
    events = await streamed(Service(plan, loop={"events": 2}))
    restarts = [data for name, data in events if name == "step_restarted"]
    assert restarts == [{"step": step, "reason": "the loop's replica died"} for step in (1, 1)]
    del plain["timings"], events[-1][1]["timings"]
    for step in (*plain["steps"], *events[-1][1]["steps"]):
        del step["usage"]
    assert events[-1][1]["steps"] == plain["steps"]


async def test_an_engine_that_keeps_dying_ends_the_stream_with_an_error() -> None:
    events = await streamed(Service(plan_of(), student={"stream": 9}))
    assert names(events).count("step_restarted") == 3
    assert events[-1] == (
        "error",
        {"error": {"type": "unavailable", "message": "the student's engine failed"}},
    )


async def test_a_loop_that_falls_silent_leaves_the_finished_steps() -> None:
    """The loop would have said by itself that the time is up; the deadline of the one who asks it ends this."""
    for path, silent_after, status, type in (
        ("/v1/answer", StepFinished, 200, ""),
        ("/v1/answer/stream", StepFinished, 200, ""),
        ("/v1/answer", StepStarted, 504, "deadline_exceeded"),
        ("/v1/answer/stream", StepStarted, 200, "deadline_exceeded"),
    ):
        service = Service(plan_of(ServeSection(deadline_s=0.2)))
        wedge(service.loop._replica, silent_after)
        response = await service.post(path, ASKED)
        last = events_of(response.text)[-1][1] if path.endswith("stream") else response.json()
        assert response.status_code == status, path
        assert last.get("error", {}).get("type", "") == type, path
        if not type:
            assert (last["partial"], last["stop"], last["answer"]) == (True, None, "")
            assert [step["rationale"] for step in last["steps"]] == ["Passage 1 says something about q."]


async def test_who_waits_for_the_answer_is_told_the_beginning_and_what_is_done() -> None:
    service = Service(plan_of())
    options = LoopOptions(until=time.time() + 60)
    told = [type(event) async for event in service.loop._replica.steps(Question("q", "Who?"), options, ())]
    assert told == [StepStarted, StepFinished, StepFinished, StepFinished, Answered]


def wedge(loop: Any, silent_after: type) -> None:
    """Let a loop's replica tell nothing more after the first event of a kind."""

    def until(tell: Any) -> Any:
        async def told(*arguments: Any) -> Any:
            async for event in tell(*arguments):
                yield event
                if isinstance(event, silent_after):
                    await asyncio.Event().wait()

        return told

    loop.events, loop.steps = until(loop.events), until(loop.steps)


def test_the_seconds_of_finished_steps_are_those_of_an_answer_cut_short() -> None:
    question = Question("q", "Who?")
    steps = [
        Step("a", (), (), "A.", search_seconds=0.25, usage=Usage(seconds=1.5)),
        Step("b", (), (), "B.", search_seconds=0.5, usage=Usage(seconds=2.0)),
    ]
    assert cut_short(question, steps) == Answered(Trajectory(question, 0, tuple(steps)), 0.75, 3.5, partial=True)


class Full:
    """A loop that takes nothing."""

    def options(self, stream: bool) -> "Full":
        return self

    @property
    def events(self) -> "Full":
        return self

    def remote(self, *_: Any) -> "Full":
        return self

    def __aiter__(self) -> "Full":
        return self

    async def __anext__(self) -> Any:
        raise BackPressureError(3, 3)


@pytest.mark.parametrize("path", ["/v1/answer", "/v1/answer/stream"])
async def test_replicas_that_are_all_full_are_waited_for_in_the_middle_of_an_answer(path: str) -> None:
    service = Service(plan_of())
    calls = die_after_a_step_then_be_full(service.loop._replica, full=2)
    response = await service.post(path, ASKED)
    answer = events_of(response.text)[-1][1] if path.endswith("stream") else response.json()
    assert (response.status_code, answer.get("answer"), len(answer.get("steps", ()))) == (200, "answer to q", 3)
    assert calls == [0, 1, 1, 1]


def die_after_a_step_then_be_full(loop: Any, full: int) -> list[int]:
    """Let the first replica die behind its first step, and so many further calls be refused.

    Returns:
        The number of finished steps that each call began behind; filled in as they come.
    """
    calls: list[int] = []

    def failing(tell: Any) -> Any:
        async def told(question: Any, options: Any, finished: Any) -> Any:
            calls.append(len(finished))
            if 1 < len(calls) <= 1 + full:
                raise BackPressureError(3, 3)
            async for event in tell(question, options, finished):
                yield event
                if len(calls) == 1 and isinstance(event, StepFinished):
                    raise ActorDiedError

        return told

    loop.events, loop.steps = failing(loop.events), failing(loop.steps)
    return calls


async def test_what_fails_before_the_first_event_is_an_ordinary_error() -> None:
    service = Service(plan_of())
    service.api = Ingress(plan_of(), Full()).__serve_build_asgi_app__()
    response = await service.post("/v1/answer/stream", ASKED)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.json()["error"]["type"] == "overloaded"
    assert (await service.post("/v1/answer/stream", {"question": ""})).status_code == 422


async def test_a_deadline_after_a_step_gives_a_partial_answer_and_without_one_an_error() -> None:
    limits = ServeSection(force_answer=False)
    # The latencies drawn for this question: its first step ends after 0.2 s, its second after 1.1 s.
    service = Service(plan_of(limits, scripted_latency_s=0.6, scripted_steps=5))
    seconds = {"question": "Who?", "id": "e", "deadline_s": 0.9}
    plain = await service.post("/v1/answer", seconds)
    assert plain.status_code == 200
    body = plain.json()
    assert (body["partial"], body["stop"], body["answer"]) == (True, None, "")
    assert len(body["steps"]) == 1
    events = await streamed(service, seconds)
    assert events[-1][0] == "answer"
    assert events[-1][1]["partial"] is True
    early = await service.post("/v1/answer", {**seconds, "deadline_s": 0.03})
    assert (early.status_code, early.json()["error"]["type"]) == (504, "deadline_exceeded")
    assert (await streamed(service, {**seconds, "deadline_s": 0.03}))[-1][1]["error"]["type"] == "deadline_exceeded"


async def test_a_stream_that_waits_past_its_deadline_is_refused_before_it_begins() -> None:
    service = Service(plan_of(ServeSection(deadline_s=0.2)))

    async def queued(*_: Any) -> Any:
        await asyncio.sleep(30)
        yield None

    service.loop._replica.events = queued
    response = await service.post("/v1/answer/stream", ASKED)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["error"]["type"] == "overloaded"


async def test_a_deadline_that_is_near_forces_the_answer_while_there_is_time() -> None:
    service = Service(plan_of(scripted_latency_s=0.2, scripted_steps=5))
    body = (await service.post("/v1/answer", {**ASKED, "deadline_s": 1.1})).json()
    assert (body["partial"], body["stop"]) == (True, "forced_answer")
    assert body["answer"] == f"Passage {len(body['steps'])} says something about q"
    assert body["steps"][-1]["query"] == ""
    assert body["timings"]["total_s"] < 1.1


async def test_a_client_that_leaves_cancels_the_engine() -> None:
    service = Service(plan_of(scripted_latency_s=30))
    gone = asyncio.Event()
    seen: list[bytes] = []
    bodies = [b'{"question": "Who?"}']

    async def receive() -> dict[str, Any]:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        seen.append(message.get("body", b""))
        if b"passages" in seen[-1]:
            gone.set()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/answer/stream",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }
    await asyncio.wait_for(service.api(scope, receive, send), timeout=5)
    await asyncio.sleep(0.05)
    assert service.loop.cancelled == ["events"]


class Slow(Shelf):
    """Hangs for ever."""

    async def search(self, query: str, k: int) -> Any:  # type: ignore[override]
        await asyncio.sleep(3600)


async def test_the_first_event_does_not_wait_for_the_retriever() -> None:
    service = Service(plan_of(ServeSection(deadline_s=0.3)), Slow())
    events = await asyncio.wait_for(streamed(service), timeout=5)
    assert names(events) == ["step_started", "error"]


async def test_a_plain_request_survives_the_death_of_two_loops_and_not_of_three() -> None:
    service = Service(plan_of(), loop={"steps": 2})
    assert (await service.post("/v1/answer", ASKED)).json()["answer"] == "answer to q"
    response = await Service(plan_of(), loop={"steps": 3}).post("/v1/answer", ASKED)
    assert (response.status_code, response.json()["error"]["type"]) == (503, "unavailable")
