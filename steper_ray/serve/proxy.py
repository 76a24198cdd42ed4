"""What Serve's own proxy does with a request before it passes it on: our hook in it, `RAY_SERVE_HTTP_PROXY_CALLBACK_…`.

The proxy reads some headers by itself, as UTF-8 and without a check: other bytes end there in an error that is none of
ours, and good ones change its time-outs or its choice of replicas.
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from steper_ray.serve.log import HEADER, is_valid_id

Headers = list[tuple[bytes, bytes]]

STEERING = frozenset(
    {
        b"x_request_timeout_seconds",
        b"x_request_disconnect_disabled",
        b"serve_multiplexed_model_id",
        b"x_session_id",
    }
)
"""Headers by which a client would steer the proxy, as it compares them: `_` for `-`."""
_TRACE = b"traceparent"
_ID = HEADER.lower().encode()


def middleware() -> list[Middleware]:
    """What Serve shall put around its proxy; Serve calls this when a proxy starts."""
    return [Middleware(ProxyDoor)]


class ProxyDoor:
    """ASGI middleware that hands on a request with the headers that Serve's proxy may see."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if "headers" in scope:
            scope = {**scope, "headers": cleaned(scope["headers"])}
        await self._app(scope, receive, send)


def cleaned(headers: Headers) -> Headers:
    """Headers without those that steer the proxy; ids that are not valid become one empty id.

    An empty id is the application's to refuse: with its typed error, and with the line in the log and the count that
    any other refusal has.
    """
    kept = [(name, value) for name, value in headers if not _steers(name.lower(), value)]
    if all(is_valid_id(value.decode("latin-1")) for name, value in kept if name.lower() == _ID):
        return kept
    return [*((name, value) for name, value in kept if name.lower() != _ID), (_ID, b"")]


def _steers(name: bytes, value: bytes) -> bool:
    return name.replace(b"-", b"_") in STEERING or (name == _TRACE and not value.isascii())
