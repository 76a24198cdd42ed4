"""Every error of the HTTP application in its one typed form, and how the OpenAPI document tells of it."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from steper_ray.serve.faults import Fault, FaultType, unexpected
from steper_ray.serve.headers import HEADERS
from steper_ray.serve.log import note
from steper_ray.serve.wire import AnswerRequest

_FAULTS = {
    404: FaultType.NOT_FOUND,
    405: FaultType.METHOD_NOT_ALLOWED,
    408: FaultType.BODY_TOO_SLOW,
    413: FaultType.BODY_TOO_LARGE,
}


class Problem(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: FaultType
    """For programs."""
    message: str
    """For people."""


class ErrorBody(BaseModel):
    """The body of every response that is not a success."""

    error: Problem


def declared(*types: FaultType) -> dict[int | str, dict[str, Any]]:
    """These errors as FastAPI's `responses`."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for type in types:
        example = {"value": {"error": {"type": type.value, "message": type.sentence}}}
        found = by_status.setdefault(
            type.status, {"model": ErrorBody, "description": "", "content": {"application/json": {"examples": {}}}}
        )
        found["content"]["application/json"]["examples"][type.value] = example
        found["description"] = " or ".join(found["content"]["application/json"]["examples"]).replace("_", " ")
        if type.retry_after_s:
            found["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return by_status


def handle_faults(api: FastAPI) -> None:
    """Give every error of an application the one typed form."""

    def respond(request: Request, fault: Fault) -> JSONResponse:
        note(request.scope, error=fault.type.value)
        return fault_response(fault)

    @api.exception_handler(Fault)
    async def on_fault(request: Request, fault: Fault) -> JSONResponse:
        return respond(request, fault)

    @api.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        sentences = "; ".join(_sentence(fault) for fault in error.errors())
        return respond(request, Fault(FaultType.INVALID_REQUEST, sentences))

    @api.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        kind = _FAULTS.get(error.status_code, FaultType.INVALID_REQUEST)
        response = respond(request, Fault(kind, str(error.detail)))
        response.headers.update(error.headers or {})  # `Allow` beside 405
        return response

    @api.exception_handler(Exception)
    async def on_anything(request: Request, error: Exception) -> JSONResponse:
        response = respond(request, unexpected(error))
        # Starlette answers this one outside of all middleware.
        response.headers.update(HEADERS)
        return response


def fault_response(fault: Fault) -> JSONResponse:
    """The response to a request that ends with a fault."""
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
