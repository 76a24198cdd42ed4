"""A remote service that is posted JSON and answers JSON: address, key, pool of connections, further attempts."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from steper_ray.backends.backoff import backoff_s
from steper_ray.backends.endpoint_key import Key
from steper_ray.backends.rate_limit import RateLimit, Sleep
from steper_ray.backends.reply import Reply
from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError, ConfigError

CONNECT_TIMEOUT_S = 15.0
_NO_TURN = "its turn under the limits per minute had not come"
_NO_ANSWER = "the first attempt was not answered"


class Endpoint:
    """Posts to one service; any number of posts may be in flight on one event loop."""

    def __init__(
        self,
        url: str,
        key: Key | None,
        *,
        kind: FailureKind,
        timeout_s: float,
        retries: int,
        connections: int,
        limit: RateLimit | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: checked by `check_url`.
            key: sent as a bearer token.
            kind: of the BackendError when no attempt gets an answer.
            timeout_s: longest wait for one attempt, seconds.
            retries: attempts after the first.
            connections: most connections at once.
            limit: asked before each attempt.
            sleep: waits between attempts.
        """
        self.url, self.key = url, key
        self._kind, self._retries, self._sleep = kind, retries, sleep
        self._limit = limit or RateLimit()
        self._client = httpx.AsyncClient(
            headers=key.header() if key else {},
            # No limit on the wait for a free connection: it is our own queue, and the driver's step time-out covers it.
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S), pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def post(
        self, path: str, body: Mapping[str, Any], *, tokens: int = 0, most_retries: int | None = None
    ) -> Reply:
        """Post once, and again where that may help; cancelling the call closes its connection.

        A cancelled call leaves a note of the last fault in its `CancelledError`.

        Args:
            path: behind the url; empty posts to the url as it is.
            body: sent as JSON.
            tokens: estimate for the limit.
            most_retries: fewer further attempts than the endpoint's own.

        Returns:
            The first reply that another attempt would not change, whatever its status; its seconds count from here.

        Raises:
            BackendError: of the endpoint's kind, when all attempts are used up.
        """
        retries = self._retries if most_retries is None else min(self._retries, most_retries)
        started, words = time.perf_counter(), _NO_TURN
        try:
            for attempt in range(retries + 1):
                await self._limit.wait(tokens)
                words = words if attempt else _NO_ANSWER
                reply, headers, fault = await self._attempt(path, body)
                if reply is not None:
                    return replace(reply, seconds=time.perf_counter() - started)
                words = f"{self.url} {fault}, after {attempt + 1} attempt{'s' if attempt else ''}"
                if attempt < retries:
                    seconds = backoff_s(attempt, headers)
                    if "retry-after" in headers:
                        self._limit.hold(seconds)
                    await self._sleep(seconds)
        except asyncio.CancelledError as stopped:
            # Whoever set a time for this learns why it was too short.
            stopped.add_note(words)
            raise
        raise BackendError(self._kind, words)

    async def _attempt(self, path: str, body: Mapping[str, Any]) -> tuple[Reply | None, Mapping[str, str], str]:
        """A reply that another attempt would not change; else None, the headers and what is wrong."""
        try:
            reply, headers = await self._send(path, body)
        except httpx.RequestError as error:
            return None, {}, f"did not answer: {self._hidden(f'{type(error).__name__} {error}').strip()}"
        if reply.worth_another_try:
            return None, headers, f"answered {reply.shown()}"
        return reply, headers, ""

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _send(self, path: str, body: Mapping[str, Any]) -> tuple[Reply, Mapping[str, str]]:
        response = await self._client.post(self.url.rstrip("/") + path if path else self.url, json=body)
        return Reply(response.status_code, self._hidden(response.text)), response.headers

    def _hidden(self, text: str) -> str:
        return self.key.hidden_in(text) if self.key else text


def check_url(url: str | None, name: str, example: str) -> str:
    """The url, if it is one that can be posted to.

    Args:
        url: as configured.
        name: its key in the configuration.
        example: shown when it is missing.

    Raises:
        ConfigError: no http(s) address, or one with user, query or fragment, which configurations and messages show.
    """
    if not url:
        raise ConfigError(f"{name} is missing: the service's address, such as {example}")
    try:
        parts = urlsplit(url)
        secret = "@" in url or bool(parts.query or parts.fragment)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        secret, usable = "@" in url, False
    if secret:
        raise ConfigError(
            f"{name} must not hold a user, a query or a fragment (not shown); keys go into key_file or key_variable"
        )
    if not usable:
        raise ConfigError(f"{name} must be an http or https address such as {example}, found {url!r}")
    return url
