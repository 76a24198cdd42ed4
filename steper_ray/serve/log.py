"""A line of JSON per request, and the id that ties it to the client's own log."""

import json
import logging
import sys
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steper_ray.serve.faults import Fault, FaultType

HEADER = "X-Request-ID"
LONGEST_ID = 128
_SILENT = ("/healthz", "/readyz")
"""Asked every few seconds by whoever watches the service."""

requests = logging.getLogger("steper_ray.requests")
requests.setLevel(logging.INFO)


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

    Not with `echo=False`, where somebody further outside sends the id back.
    """

    def __init__(self, app: ASGIApp, *, echo: bool = True) -> None:
        self._app, self._echo = app, echo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER)
        valid = given is None or is_valid_id(given)
        id = given if given is not None and valid else uuid.uuid4().hex
        facts = scope["steper_note"] = dict[str, Any](status=None)
        started = time.perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                facts["status"] = message["status"]
                if self._echo:
                    MutableHeaders(scope=message)[HEADER] = id
            await send(message)

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
            facts["status"] = 500  # answered outside of this
            raise
        finally:
            if scope["path"] not in _SILENT:
                requests.info(line(id, scope, facts, time.perf_counter() - started))


def is_valid_id(id: str) -> bool:
    """Whether an id may stand in headers and logs as it is."""
    return 1 <= len(id) <= LONGEST_ID and all("!" <= character <= "~" for character in id)


def line(id: str, scope: Scope, facts: dict[str, Any], seconds: float) -> str:
    """The line of JSON; a status of null means that the client was gone before the answer began."""
    about = {"request_id": id, "method": scope["method"], "path": scope["path"]}
    return json.dumps({**about, **facts, "seconds": round(seconds, 4)})
