"""The server-sent events of `POST /v1/answer/stream`, and how they are framed."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from steper_ray.drive.events import (
    Event,
    Finished,
    PassagesFound,
    RationaleDelta,
    StepFinished,
    StepRestarted,
    StepStarted,
)
from steper_ray.serve.asking import Outcome
from steper_ray.serve.faults import Fault
from steper_ray.serve.wire import Answer

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""A proxy that collects a stream before it passes it on would make it useless."""

_LINES = (
    'event: step_started\ndata: {"id": "7d0c1a52", "step": 1, "query": "Where was the director of Titanic born?"}\n\n'
    'event: rationale\ndata: {"step": 1, "text": "Titanic was directed"}\n\n'
)
SCHEMA = {
    "type": "object",
    "description": "One event; the body is a stream of them.",
    "properties": {"event": {"type": "string"}, "data": {"type": "string", "description": "JSON on one line."}},
    "required": ["data"],
}
"""How OpenAPI 3.1, which has no word for streams, is told of server-sent events."""
EXAMPLE = {MEDIA_TYPE: {"schema": SCHEMA, "example": _LINES}}
"""The content of the response, for the OpenAPI document."""


def frame(data: str, name: str = "") -> bytes:
    """One event on the wire; `data` is one line."""
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


async def frames(question_id: str, outcomes: AsyncGenerator[Outcome, None]) -> AsyncIterator[bytes]:
    """The body of a streamed answer."""
    async with aclosing(outcomes):
        async for outcome in outcomes:
            name, data = event_of(question_id, outcome)
            yield frame(json.dumps(data, ensure_ascii=False), name)


def event_of(question_id: str, outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """Name and content of one event."""
    match outcome:
        case Answer():
            return "answer", outcome.model_dump(mode="json")
        case Fault():
            return "error", outcome.body()
        case _:
            return _event_of(question_id, outcome)


def _event_of(question_id: str, event: Event) -> tuple[str, dict[str, Any]]:
    match event:
        case StepStarted(step, query):
            return "step_started", {"id": question_id, "step": step, "query": query}
        case PassagesFound(step, pending):
            return "passages", {"step": step, "passages": [asdict(passage) for passage in pending.passages]}
        case RationaleDelta(step, text):
            return "rationale", {"step": step, "text": text}
        case StepRestarted(step, reason):
            return "step_restarted", {"step": step, "reason": reason}
        case StepFinished(step, done):
            told = {"query": done.query, "rationale": done.rationale, "usage": asdict(done.usage)}
            return "step_finished", {"step": step, **told}
        case Finished():
            raise AssertionError("the loop's replica turns it into an answer")
