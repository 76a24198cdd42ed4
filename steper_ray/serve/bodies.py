"""ASGI middleware that ends a request whose body is too long or too slow, before anybody waits for all of it."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOO_LARGE = 413
TOO_SLOW = 408


class BodyLimit:
    """Lets at most `limit` bytes of a request's body through, and no body that takes longer than `seconds`."""

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self._app, self._limit, self._seconds = app, limit, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its body as it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken, whole, end = 0, False, 0.0

        async def counted() -> Message:
            nonlocal taken, whole, end
            if whole:  # What comes after the body is the client's leaving, for which there is no hurry.
                return await receive()
            end = end or asyncio.get_running_loop().time() + self._seconds
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(TOO_SLOW, f"the body did not arrive within {self._seconds:g} s") from None
            taken += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if taken > self._limit:
                raise HTTPException(TOO_LARGE, f"the body is longer than {self._limit} bytes")
            return message

        await self._app(scope, counted, send)
