"""The deployment that speaks HTTP: routes, and what stands around them."""

import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from ray import serve
from ray.serve.exceptions import RayServeException

from steper_ray import __version__
from steper_ray.serve import chat, events
from steper_ray.serve.asking import Asker
from steper_ray.serve.door import FREE, add_door
from steper_ray.serve.fault_responses import declared, handle_faults
from steper_ray.serve.faults import FaultType
from steper_ray.serve.log import log_to_stderr, note
from steper_ray.serve.notes import facts_of, noted
from steper_ray.serve.openapi import describe
from steper_ray.serve.page import add_page
from steper_ray.serve.plan import ServicePlan
from steper_ray.serve.readiness import Readiness
from steper_ray.serve.wire import Answer, AnswerRequest
from steper_ray.telemetry.origin import Origin

ADMISSION = (
    FaultType.INVALID_REQUEST,
    FaultType.UNAUTHENTICATED,
    FaultType.FORBIDDEN,
    FaultType.RATE_LIMITED,
    FaultType.UNAVAILABLE,
)
"""How any request that needs a key may end at the door."""
ASKING = declared(
    *ADMISSION,
    FaultType.UNANSWERABLE,
    FaultType.BODY_TOO_LARGE,
    FaultType.BODY_TOO_SLOW,
    FaultType.OVERLOADED,
    FaultType.DEADLINE_EXCEEDED,
    FaultType.INTERNAL,
)
"""The errors of every route that asks a question."""


class Ingress:
    """Routes requests to the loop's replicas."""

    def __init__(self, plan: ServicePlan, loop: Any) -> None:
        self._plan, self._asker = plan, Asker(loop, Origin("serve", plan.limits.model_name))
        self._readiness = Readiness(self._asker.ready)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The HTTP application; Serve asks for it after construction, so nothing of it crosses processes."""
        log_to_stderr()
        # A redirect to the path without its slash would go wherever the Host header says.
        api = FastAPI(title="steper_ray", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
        self._add_state(api)
        self._add_answers(api)
        self._add_chat(api)
        add_page(api)
        handle_faults(api)
        add_door(api, self._plan.limits, echo=not _behind_serve())
        describe(api, self._plan, FREE)
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
            await self._readiness.check()
            return {"status": "ready"}

    def _add_answers(self, api: FastAPI) -> None:
        plan, asker = self._plan, self._asker

        @api.post("/v1/answer", tags=["answers"], summary="Answer a question", response_model=Answer, responses=ASKING)
        async def answer(asked: AnswerRequest, request: Request) -> Response:
            question, options = asked.checked(plan, time.time())
            found = await asker.answer(question, options)
            note(request.scope, **facts_of(found))
            # What is returned as a model is validated once more.
            return Response(found.model_dump_json(), media_type="application/json")

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

    def _add_chat(self, api: FastAPI) -> None:
        plan, asker = self._plan, self._asker
        model = plan.limits.model_name

        @api.get(
            "/v1/models",
            tags=["chat"],
            summary="The one model that is served, as OpenAI's clients ask for it",
            responses=declared(*ADMISSION),
        )
        async def models() -> dict[str, Any]:
            return chat.models(plan)

        @api.post(
            "/v1/chat/completions",
            tags=["chat"],
            summary="Answer the last user message, in OpenAI's form",
            response_class=JSONResponse,
            responses={**ASKING, **declared(FaultType.NOT_FOUND), 200: {"description": "", "content": chat.EXAMPLES}},
        )
        async def completions(asked: chat.ChatRequest, request: Request) -> Response:
            question, options = asked.checked(plan, time.time())
            if not asked.stream:
                found = await asker.answer(question, options)
                note(request.scope, **facts_of(found))
                return JSONResponse(chat.completion(found, model))
            outcomes = noted(await asker.outcomes(question, options), request.scope)
            usage = bool(asked.stream_options and asked.stream_options.include_usage)
            body = chat.chunks(question.id, model, outcomes, include_usage=usage)
            return StreamingResponse(body, media_type=events.MEDIA_TYPE, headers=events.HEADERS)


def _behind_serve() -> bool:
    """Whether Serve's proxy stands outside; it makes up missing request ids and sends all of them back."""
    try:
        serve.get_replica_context()
    except RayServeException:
        return False
    return True
