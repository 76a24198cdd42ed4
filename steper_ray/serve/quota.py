"""What one key may use: requests per minute as a token bucket, and requests at the same time."""

import math
from dataclasses import dataclass, field

from steper_ray.serve.faults import Fault, FaultType


@dataclass(slots=True)
class Quota:
    """The state of one key. `now` is in seconds of any clock that only goes forward."""

    per_minute: int
    concurrent: int
    now: float
    _tokens: float = field(init=False)
    _open: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._tokens = float(self.per_minute)

    def enter(self, now: float) -> None:
        """Book a request; `leave` comes when its response has ended.

        Raises:
            Fault: `rate_limited`, with the seconds after which another try can succeed.
        """
        if self._open >= self.concurrent:
            raise Fault(FaultType.RATE_LIMITED, f"this key may have {_requests(self.concurrent)} open at a time", 1)
        gained = (now - self.now) * self.per_minute / 60
        self._tokens, self.now = min(float(self.per_minute), self._tokens + gained), now
        if self._tokens < 1:
            wait = math.ceil((1 - self._tokens) * 60 / self.per_minute)
            raise Fault(FaultType.RATE_LIMITED, f"this key may send {_requests(self.per_minute)} a minute", wait)
        self._tokens -= 1
        self._open += 1

    def leave(self) -> None:
        """The response has ended, or its client is gone."""
        self._open -= 1


def _requests(count: int) -> str:
    return f"{count} request{'s' * (count != 1)}"
