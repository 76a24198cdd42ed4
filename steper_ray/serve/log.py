"""A line of JSON per request, and the id that ties it to the client's own log."""

import logging
import sys
import time
import uuid
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steper_ray.serve.faults import Fault, FaultType
from steper_ray.serve.meters import CLIENT_GONE, RequestMeters
from steper_ray.telemetry.log import Level, line
from steper_ray.telemetry.origin import Origin

HEADER = "X-Request-ID"
LONGEST_ID = 128
_SILENT = ("/healthz", "/readyz")
"""Asked every few seconds by whoever watches the service."""

requests = logging.getLogger("steper_ray.requests")
requests.setLevel(logging.INFO)
request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered; the ingress hands it to the loop."""


def log_to_stderr() -> None:
    """Write the lines as they are, once per process; Ray keeps them with the replica's other output."""
    if not requests.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        requests.addHandler(handler)
        requests.propagate = False


def note(scope: Scope, **facts: Any) -> None:
    """Add facts about a request to its line."""
    scope.setdefault("steper_note", {}).update(facts)


class RequestLog:
    """ASGI middleware around everything else: checks or makes up the request's id, sends it back, writes the line.

    Not with `echo=False`, where somebody further outside sends the id back. Probes are neither logged nor counted.
    """

    def __init__(self, app: ASGIApp, *, origin: Origin, meters: RequestMeters, echo: bool = True) -> None:
        self._app, self._echo, self._origin, self._meters = app, echo, origin, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif path_of(scope) in _SILENT:
            await self._answered(scope, receive, send)
        else:
            await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        self._meters.begun()
        try:
            await self._answered(scope, receive, send)
        finally:
            seconds, facts = time.perf_counter() - started, scope["steper_note"]
            status = CLIENT_GONE if facts.get("gone") else facts["status"]
            self._meters.ended(path_of(scope), status, seconds, facts.get("error"))
            about = {"request_id": facts.pop("id"), "method": scope["method"], "path": scope["path"]}
            requests.info(line(self._origin, "request", **about, **facts, seconds=round(seconds, 4)))

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get(HEADER)
        valid = given is None or is_valid_id(given)
        id = given if given is not None and valid else uuid.uuid4().hex
        facts = scope["steper_note"] = dict[str, Any](id=id, status=None)
        request_id.set(id)
        whole = False

        async def sending(message: Message) -> None:
            nonlocal whole
            if message["type"] == "http.response.start":
                facts["status"] = message["status"]
                if self._echo:
                    MutableHeaders(scope=message)[HEADER] = id
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            if valid:
                await self._app(scope, receive, sending)
            else:
                fault = Fault(
                    FaultType.INVALID_REQUEST, f"{HEADER}: must be 1 to {LONGEST_ID} visible ASCII characters"
                )
                facts["error"] = fault.type.value
                await JSONResponse(fault.body(), fault.type.status)(scope, receive, sending)
        except Exception:
            facts["status"], whole = 500, True  # answered outside of this
            raise
        finally:
            if not whole:
                facts["gone"] = True


def is_valid_id(id: str) -> bool:
    """Whether an id may stand in headers and logs as it is."""
    return 1 <= len(id) <= LONGEST_ID and all("!" <= character <= "~" for character in id)


def path_of(scope: Scope) -> str:
    """The path below the prefix that Serve routes to this application."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


def warn(origin: Origin, event: str, **facts: Any) -> None:
    """Write a line about something that failed and is done again, or that ends a question."""
    requests.warning(line(origin, event, Level.WARNING, **facts))
