"""The deployment that speaks HTTP: validation, limits, deadline and typed errors in front of the loop."""

import asyncio
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from ray.serve.exceptions import BackPressureError
from starlette.exceptions import HTTPException

from steper_ray import __version__
from steper_ray.core.types import Question
from steper_ray.errors import BackendError
from steper_ray.serve.door import add_door
from steper_ray.serve.faults import Fault, FaultType, fault_of
from steper_ray.serve.handles import GONE, call
from steper_ray.serve.headers import HEADERS
from steper_ray.serve.loop import Answered, LoopOptions
from steper_ray.serve.page import add_page
from steper_ray.serve.plan import ServicePlan
from steper_ray.serve.wire import Answer, AnswerRequest, answer_of

READY_TIMEOUT_S = 10.0
_FAULTS = {
    404: FaultType.NOT_FOUND,
    405: FaultType.METHOD_NOT_ALLOWED,
    408: FaultType.BODY_TOO_SLOW,
    413: FaultType.BODY_TOO_LARGE,
}


class Ingress:
    """Routes requests to the loop's replicas."""

    def __init__(self, plan: ServicePlan, loop: Any) -> None:
        self._plan, self._loop = plan, loop

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The HTTP application; Serve asks for it after construction, so nothing of it crosses processes."""
        api = FastAPI(title="steper_ray", version=__version__, docs_url=None, redoc_url=None)
        add_page(api)
        add_door(api, self._plan.limits)
        handle_faults(api)

        @api.get("/healthz")
        async def healthz() -> dict[str, str]:
            return {"status": "alive"}

        @api.get("/readyz")
        async def readyz() -> dict[str, str]:
            await self.ready()
            return {"status": "ready"}

        @api.post("/v1/answer")
        async def answer(asked: AnswerRequest) -> Answer:
            return await self.answer(asked)

        return api

    async def answer(self, asked: AnswerRequest) -> Answer:
        """Answer one question.

        Raises:
            Fault: invalid, overloaded, unavailable, or not done within the deadline.
        """
        started = time.perf_counter()
        question, options = asked.checked(self._plan)
        deadline_s = self._plan.limits.deadline_s
        try:
            async with asyncio.timeout(deadline_s):
                answered = await self._drive(question, options)
        except TimeoutError:
            raise Fault(FaultType.DEADLINE_EXCEEDED, f"no answer within {deadline_s:g} s") from None
        except BackendError as error:
            raise fault_of(error) from error
        return answer_of(answered, time.perf_counter() - started)

    async def ready(self) -> None:
        """Ask student and index for real.

        Raises:
            Fault: one of them does not answer.
        """
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await call(self._loop.ready)
        except TimeoutError:
            raise Fault(FaultType.UNAVAILABLE, f"student and index are not ready after {READY_TIMEOUT_S:g} s") from None
        except (BackendError, *GONE) as error:
            raise Fault(FaultType.UNAVAILABLE, str(error)) from error
        except BackPressureError:
            raise Fault(FaultType.OVERLOADED, "too many questions are waiting") from None

    async def _drive(self, question: Question, options: LoopOptions) -> Answered:
        try:
            answered: Answered = await self._drive_once(question, options)
        except GONE:
            # The loop keeps nothing between questions: another replica starts this one over.
            try:
                answered = await self._drive_once(question, options)
            except GONE as error:
                raise Fault(FaultType.UNAVAILABLE, f"the loop died twice: {error}") from error
        return answered

    async def _drive_once(self, question: Question, options: LoopOptions) -> Answered:
        try:
            answered: Answered = await call(self._loop.answer, question, options)
        except BackPressureError:
            raise Fault(FaultType.OVERLOADED, "too many questions are waiting; ask again later") from None
        return answered


def handle_faults(api: FastAPI) -> None:
    """Give every error of an application the one typed form."""

    @api.exception_handler(Fault)
    async def on_fault(_: Request, fault: Fault) -> JSONResponse:
        return _response(fault)

    @api.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return _response(Fault(FaultType.INVALID_REQUEST, "; ".join(_sentence(fault) for fault in error.errors())))

    @api.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> JSONResponse:
        return _response(Fault(_FAULTS.get(error.status_code, FaultType.INVALID_REQUEST), str(error.detail)))

    @api.exception_handler(Exception)
    async def on_anything(_: Request, error: Exception) -> JSONResponse:
        response = _response(Fault(FaultType.INTERNAL, f"{type(error).__name__}; the service's log says more"))
        # Starlette answers this one outside of all middleware.
        response.headers.update(HEADERS)
        return response


def _response(fault: Fault) -> JSONResponse:
    return JSONResponse(fault.body(), status_code=fault.type.status, headers=fault.headers)


def _sentence(fault: Any) -> str:
    """One complaint of pydantic's, without the input: it may be long, or no valid text."""
    place = ".".join(str(part) for part in fault["loc"] if part != "body")
    match fault["type"]:
        case "extra_forbidden":
            return f"unknown field {place!r}; known are {', '.join(AnswerRequest.model_fields)}"
        case "json_invalid":
            return f"the body is not JSON: {fault.get('ctx', {}).get('error', '')}"
        case "missing" if place:
            return f"{place}: is missing"
        case _:
            message = fault["msg"][:1].lower() + fault["msg"][1:]
            return f"{place or 'the body'}: {message}"
