"""A limit of requests and tokens per minute, kept by spacing requests out."""

import asyncio
import time
from collections.abc import Awaitable, Callable

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]


class RateLimit:
    """Gives every request a start time, first come, first served.

    A request keeps its successors waiting for 1/requests_per_minute or tokens/tokens_per_minute minutes, whichever is
    longer, so no minute sees more than the limit, the first one included; there is no allowance for bursts. Tokens are
    reserved by estimate and corrected when the service has counted them.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._seconds_per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._seconds_per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock, self._sleep = clock, sleep
        self._request_free = self._token_free = clock()

    async def wait(self, tokens: int) -> None:
        """Wait for this request's turn; a cancelled wait gives its tokens back."""
        seconds = self.reserve(tokens)
        if seconds <= 0:
            return
        try:
            await self._sleep(seconds)
        except asyncio.CancelledError:
            self.settle(tokens, 0)
            raise

    def reserve(self, tokens: int) -> float:
        """Take the next start time for a request of so many tokens; returns the seconds until then."""
        now = self._clock()
        start = max(now, self._request_free, self._token_free)
        self._request_free = start + self._seconds_per_request
        self._token_free = start + tokens * self._seconds_per_token
        return start - now

    def settle(self, reserved: int, used: int) -> None:
        """Correct an estimate: later requests start earlier, or later."""
        self._token_free += (used - reserved) * self._seconds_per_token

    def hold(self, seconds: float) -> None:
        """Start nothing new for so long: the service has asked to wait."""
        self._request_free = max(self._request_free, self._clock() + seconds)
