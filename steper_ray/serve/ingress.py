"""The deployment that speaks HTTP: routes, and what stands around them."""

import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from steper_ray import __version__
from steper_ray.serve import events
from steper_ray.serve.asking import Asker
from steper_ray.serve.door import add_door
from steper_ray.serve.fault_responses import declared, handle_faults
from steper_ray.serve.faults import FaultType
from steper_ray.serve.log import log_to_stderr, note
from steper_ray.serve.notes import facts_of, noted
from steper_ray.serve.page import add_page
from steper_ray.serve.plan import ServicePlan
from steper_ray.serve.wire import Answer, AnswerRequest

ASKING = declared(
    FaultType.INVALID_REQUEST,
    FaultType.UNANSWERABLE,
    FaultType.BODY_TOO_LARGE,
    FaultType.BODY_TOO_SLOW,
    FaultType.UNAUTHENTICATED,
    FaultType.FORBIDDEN,
    FaultType.RATE_LIMITED,
    FaultType.OVERLOADED,
    FaultType.UNAVAILABLE,
    FaultType.DEADLINE_EXCEEDED,
    FaultType.INTERNAL,
)
"""The errors of every route that asks a question."""


class Ingress:
    """Routes requests to the loop's replicas."""

    def __init__(self, plan: ServicePlan, loop: Any) -> None:
        self._plan, self._asker = plan, Asker(loop)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The HTTP application; Serve asks for it after construction, so nothing of it crosses processes."""
        log_to_stderr()
        api = FastAPI(title="steper_ray", version=__version__, docs_url=None, redoc_url=None)
        self._add_state(api)
        self._add_answers(api)
        add_page(api)
        handle_faults(api)
        add_door(api, self._plan.limits)
        return api

    def _add_state(self, api: FastAPI) -> None:
        @api.get("/healthz", tags=["state"], summary="Whether the service is alive")
        async def healthz() -> dict[str, str]:
            return {"status": "alive"}

        @api.get(
            "/readyz",
            tags=["state"],
            summary="Whether student and index answer",
            responses=declared(FaultType.OVERLOADED, FaultType.UNAVAILABLE),
        )
        async def readyz() -> dict[str, str]:
            await self._asker.ready()
            return {"status": "ready"}

    def _add_answers(self, api: FastAPI) -> None:
        plan, asker = self._plan, self._asker

        @api.post("/v1/answer", tags=["answers"], summary="Answer a question", responses=ASKING)
        async def answer(asked: AnswerRequest, request: Request) -> Answer:
            question, options = asked.checked(plan, time.time())
            found = await asker.answer(question, options)
            note(request.scope, **facts_of(found))
            return found

        @api.post(
            "/v1/answer/stream",
            tags=["answers"],
            summary="Answer a question, telling what happens as server-sent events",
            response_class=StreamingResponse,
            responses={**ASKING, 200: {"description": "Server-sent events", "content": events.EXAMPLE}},
        )
        async def stream(asked: AnswerRequest, request: Request) -> StreamingResponse:
            question, options = asked.checked(plan, time.time())
            outcomes = noted(await asker.outcomes(question, options), request.scope)
            return StreamingResponse(
                events.frames(question.id, outcomes), media_type=events.MEDIA_TYPE, headers=events.HEADERS
            )
