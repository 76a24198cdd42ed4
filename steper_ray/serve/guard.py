"""ASGI middleware that decides who may ask: with keys by key and its quota, without keys by being on this machine."""

import time
from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from steper_ray.sections.serve import ServeSection, is_loopback
from steper_ray.serve.fault_responses import fault_response
from steper_ray.serve.faults import Fault, FaultType
from steper_ray.serve.keyring import Keyring
from steper_ray.serve.keys import Key
from steper_ray.serve.log import note, path_of
from steper_ray.serve.quota import Quota

POLICY_VIOLATION = 1008
"""The code a refused websocket is closed with."""


class Guard:
    """Lets a request through or answers it with 401, 403 or 429; `free` are the paths open to everybody.

    A request counts against its key until its response has ended, streams included. What is let through no longer
    carries the key, so that nothing behind this can log it; the request's line in the log has the key's name.
    """

    def __init__(
        self, app: ASGIApp, limits: ServeSection, free: Collection[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app, self._limits, self._free, self._clock = app, limits, frozenset(free), clock
        self._keyring = Keyring(limits.keys, clock) if limits.keys else None
        self._quotas: dict[str, Quota] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        elif scope["type"] != "http" or path_of(scope) in self._free:
            await self._app(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            inner, quota = self._admit(scope)
        except Fault as fault:
            note(scope, error=fault.type.value)
            await fault_response(fault)(scope, receive, send)
            return
        try:
            await self._app(inner, receive, send)
        finally:
            if quota is not None:
                quota.leave()

    def _admit(self, scope: Scope) -> tuple[Scope, Quota | None]:
        headers = Headers(scope=scope)
        if self._keyring is None:
            _check_local(headers.getlist("host"))
            return scope, None
        key = self._keyring.find(_presented(headers.getlist("authorization")))
        note(scope, key=key.name)
        quota = self._quota(key)
        quota.enter(self._clock())
        return _without_key(scope), quota

    def _quota(self, key: Key) -> Quota:
        limits = self._limits
        per_minute, concurrent = key.per_minute or limits.key_per_minute, key.concurrent or limits.key_concurrent
        quota = self._quotas.get(key.name)
        if quota is None:
            quota = self._quotas[key.name] = Quota(per_minute, concurrent, self._clock())
        # The file may have changed since.
        quota.per_minute, quota.concurrent = per_minute, concurrent
        return quota


def _presented(values: list[str]) -> str:
    scheme, _, key = (values[0] if len(values) == 1 else "").strip().partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Fault(FaultType.UNAUTHENTICATED, "an API key is needed: send the header `Authorization: Bearer KEY`")
    return key.strip()


def _check_local(values: list[str]) -> None:
    """Refuse names of other machines: a page of the web that had its own name point here, or a proxy without keys."""
    host = values[0] if len(values) == 1 else ""
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    if not is_loopback(name):
        raise Fault(
            FaultType.FORBIDDEN,
            "this service has no API keys and answers only to localhost; to let others ask, set serve.keys",
        )


def _without_key(scope: Scope) -> Scope:
    headers = [(field, value) for field, value in scope["headers"] if field.lower() != b"authorization"]
    return {**scope, "headers": headers}
