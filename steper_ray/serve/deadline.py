"""The end of a question's time, and whether another step still fits before it."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from steper_ray.core.types import Step

Result = TypeVar("Result")


class Deadline:
    """A time by which an answer is due, in seconds since the epoch."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._longest_s = 0.0
        self.was_near = False
        """Whether `is_near` ever said so."""

    @property
    def left_s(self) -> float:
        """Seconds that are left, at least 0."""
        return max(self._until - time.time(), 0.0)

    def step_took(self, step: Step) -> None:
        """Take note of a step's time."""
        self._longest_s = max(self._longest_s, step.search_seconds + step.usage.seconds)

    def is_near(self) -> bool:
        """Whether a step as long as the longest so far leaves no time for an answer behind it."""
        near = self.left_s < _STEPS_AHEAD * self._longest_s
        self.was_near |= near
        return near

    async def wait(self, work: Awaitable[Result]) -> Result:
        """Await something until then.

        Raises:
            TimeoutError: the time is up.
        """
        async with asyncio.timeout(self.left_s):
            return await work


_STEPS_AHEAD = 2.0
"""The step that would begin, and the forced answer."""
