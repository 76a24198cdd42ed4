"""Whether the service is ready, asked at most once a second: anybody may ask, and it costs the engine a token."""

import asyncio
import time
from collections.abc import Awaitable, Callable

FRESH_S = 1.0
"""How long an outcome holds."""


class Readiness:
    """Shares one check among all who ask at the same time, or shortly after."""

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask
        self._task: asyncio.Task[None] | None = None
        self._ended = 0.0

    async def check(self) -> None:
        """Wait for the outcome.

        Raises:
            Fault: the service is not ready.
        """
        if self._task is None or (self._task.done() and time.monotonic() - self._ended >= FRESH_S):
            self._task = asyncio.create_task(self._timed())
        # One who leaves does not end it for the others.
        await asyncio.shield(self._task)

    async def _timed(self) -> None:
        try:
            await self._ask()
        finally:
            self._ended = time.monotonic()
