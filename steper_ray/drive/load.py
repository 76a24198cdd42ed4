"""How busy an engine is: requests in it over time, and how many questions it has room for."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from steper_ray.backends.interfaces import Completion, LanguageModel, Request
from steper_ray.core.types import Usage

SPARE = 1.5
"""Questions in flight per sequence of the engine's batch: the rest await retrieval, or their turn in the engine's
queue, which keeps its batch full and lets the questions advance evenly."""


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
    unfed_s: float = 0.0
    """Of the time, that in which it had places for questions, and the run had more that were not handed to it."""
    queued_s: float = 0.0
    """Time that requests spent in the engine beyond its batch, summed, seconds; over the whole time."""


class LoadMeter:
    """A `LanguageModel` around another one that counts the requests in it over time.

    `batch` is how many of them the engine works on at once, where it has a queue: those beyond wait in it.
    """

    def __init__(
        self, model: LanguageModel, clock: Callable[[], float] = time.monotonic, batch: int | None = None
    ) -> None:
        self._model, self._clock, self._batch = model, clock, batch
        self._requests = 0
        self._since = clock()
        self._busy, self._seconds, self._unfed, self._queued = 0.0, 0.0, 0.0, 0.0
        self.counting = False
        """Whether there are more questions for the engine, so that idle places in it are a fault."""
        self.unfed = False
        """Whether these wait elsewhere, so that it is neither the engine's nor the retriever's fault."""

    @property
    def inner(self) -> LanguageModel:
        """The model itself."""
        return self._model

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
        requests = self._busy / self._seconds if self._seconds else 0.0
        load = Load(self._seconds, requests, capacity, self._unfed, self._queued)
        self._busy, self._seconds, self._unfed, self._queued = 0.0, 0.0, 0.0, 0.0
        return load

    def _tick(self) -> None:
        now = self._clock()
        if self.counting:
            self._busy += self._requests * (now - self._since)
            self._seconds += now - self._since
            self._unfed += now - self._since if self.unfed else 0.0
        if self._batch is not None:
            self._queued += max(0, self._requests - self._batch) * (now - self._since)
        self._since = now


class Room:
    """How many questions fit an engine's cache: more would push out the prefixes that their next steps share.

    It begins with a guess at the length of the prompts, and grows by one with every step finished, up to what the steps
    seen so far say. Before the first question has ended, questions are taken to go to the step limit.
    """

    def __init__(self, most: int, cache_tokens: int, step_limit: int) -> None:
        self._most, self._cache_tokens, self._step_limit = most, cache_tokens, step_limit
        self._open: dict[object, int] = {}
        """Key of a question in flight → its tokens so far."""
        self._ended, self._tokens = 0, 0
        """Questions that have ended, and their tokens."""
        self._shared = 0
        """Most tokens that a first step found in the cache: demonstrations, the instruction."""
        self.size = max(1, min(most, cache_tokens // _GUESS))
        """Questions that may be in flight now."""

    def step(self, key: object, number: int, usage: Usage) -> None:
        """A question has finished a step, 1-based."""
        if number == 1:
            self._shared = max(self._shared, usage.cached_tokens)
        self._open[key] = usage.prompt_tokens + usage.completion_tokens
        self.size = min(self.size + 1, self._target())

    def left(self, key: object) -> None:
        """A question has ended or failed."""
        if tokens := self._open.pop(key, 0):
            self._ended += 1
            self._tokens += tokens
            self.size = min(self.size, self._target())

    def _target(self) -> int:
        """The most questions that fit, if those to come are like those seen."""
        own = (self._tokens + sum(self._open.values())) / (self._ended + len(self._open)) - self._shared
        if self._ended:  # the first to end are the short ones; those still open show at least how far they have come
            own = max(own, self._tokens / self._ended - self._shared)
        else:
            own *= self._step_limit
        return max(1, min(self._most, int((self._cache_tokens - self._shared) / max(own, 1))))


_GUESS = 4096
"""Tokens of a question, as long as no step has ended."""
