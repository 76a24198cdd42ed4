"""How busy an engine is: requests in it over time, and how many questions it has room for."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from steper_ray.backends.interfaces import Completion, LanguageModel, Request
from steper_ray.core.types import Trajectory

SPARE = 1.25
"""Questions in flight per sequence of the engine's batch: the rest await retrieval."""


def most_in_flight(max_batch: int) -> int:
    """The most questions that an engine of this batch size is given."""
    return math.ceil(SPARE * max_batch)


@dataclass(frozen=True, slots=True)
class Load:
    """One engine over a stretch of time in which it was not short of questions."""

    seconds: float
    requests: float
    """Mean number of requests in the engine."""
    capacity: int
    """Requests that it could have had: its batch size, or the questions in flight where those are fewer."""


class LoadMeter:
    """A `LanguageModel` around another one that counts the requests in it over time."""

    def __init__(self, model: LanguageModel, clock: Callable[[], float] = time.monotonic) -> None:
        self._model, self._clock = model, clock
        self._requests = 0
        self._since = clock()
        self._busy, self._seconds = 0.0, 0.0
        self.counting = False
        """Whether questions wait for the engine, so that idle places in it are its own or the retriever's fault."""

    @property
    def context_tokens(self) -> int | None:
        """The model's own."""
        return self._model.context_tokens

    @property
    def cache_tokens(self) -> int | None:
        """The model's own."""
        return self._model.cache_tokens

    async def complete(self, request: Request) -> Completion:
        """As the model does."""
        self._tick()
        self._requests += 1
        try:
            return await self._model.complete(request)
        finally:
            self._tick()
            self._requests -= 1

    async def close(self) -> None:
        """As the model does."""
        await self._model.close()

    def take(self, capacity: int) -> Load:
        """The load since the last call."""
        self._tick()
        load = Load(self._seconds, self._busy / self._seconds if self._seconds else 0.0, capacity)
        self._busy, self._seconds = 0.0, 0.0
        return load

    def _tick(self) -> None:
        now = self._clock()
        if self.counting:
            self._busy += self._requests * (now - self._since)
            self._seconds += now - self._since
        self._since = now


class Room:
    """How many questions fit an engine's cache: more would push out the prefixes that their next steps share."""

    def __init__(self, most: int, cache_tokens: int | None) -> None:
        self._most, self._cache_tokens = most, cache_tokens
        self._questions, self._shared, self._own = 0, 0, 0

    def size_after(self, trajectory: Trajectory) -> int:
        """The number of questions in flight, now that one more is known to have needed so many tokens.

        What the first prompt found in the cache (demonstrations, the instruction) lies there once for all questions.
        """
        last = max((step.usage.prompt_tokens + step.usage.completion_tokens for step in trajectory.steps), default=0)
        shared = trajectory.steps[0].usage.cached_tokens if trajectory.steps else 0
        self._questions += 1
        self._shared += shared
        self._own += max(last - shared, 0)
        if self._cache_tokens is None or self._own == 0:
            return self._most
        return max(1, min(self._most, (self._cache_tokens * self._questions - self._shared) // self._own))
