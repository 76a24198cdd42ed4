"""A language model without a model: a pure function writes the text, after a set time or with a set failure."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.pieces import word_by_word
from steper_ray.core.prompts import MARKER
from steper_ray.core.types import FailureKind, Usage
from steper_ray.errors import BackendError

Script = Callable[[Request], str]
Latency = Callable[[Request], float]


def request_key(request: Request) -> str:
    """Names a request as `Sample.id` names a sample: question, path and step."""
    return f"{request.question_id}#{request.path}#{request.step}"


def answer_after(steps: int) -> Script:
    """A script that gives `answer to <question id>` in the step of that number and a line of reasoning before it."""

    def write(request: Request) -> str:
        if request.step < steps:
            return f"Passage {request.step} says something about {request.question_id}."
        return f"{MARKER} answer to {request.question_id}"

    return write


def log_normal_latency(median_s: float, sigma: float, seed: int = 0) -> Latency:
    """Seconds per request, drawn from a log-normal by the request's key, so equal in every run and order."""

    def draw(request: Request) -> float:
        return median_s * random.Random(f"{seed}:{request_key(request)}").lognormvariate(0.0, sigma)

    return draw


class ScriptedModel:
    """A stand-in for tests and scale runs.

    `failures` maps a `request_key` to the kind of BackendError that this request raises after its latency.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        latency: Latency | None = None,
        failures: Mapping[str, FailureKind] | None = None,
        cache_tokens: int | None = None,
    ) -> None:
        self._script = script or answer_after(3)
        self._latency = latency
        self._failures = failures or {}
        self._cache_tokens = cache_tokens

    @property
    def context_tokens(self) -> None:
        """No limit."""
        return None

    @property
    def cache_tokens(self) -> int | None:
        """As set; nothing is kept in it."""
        return self._cache_tokens

    async def complete(self, request: Request) -> Completion:
        """Write what the script says, up to the first stop text; words count as tokens.

        Raises:
            BackendError: of the kind set for this request.
        """
        seconds = self._seconds(request)
        await asyncio.sleep(seconds)
        return self._written(request, seconds)

    async def stream(self, request: Request) -> AsyncGenerator[str | Completion, None]:
        """The same word by word, spread over its time; a failure that is set comes after it."""
        seconds = self._seconds(request)
        try:
            completion = self._written(request, seconds)
        except BackendError:
            await asyncio.sleep(seconds)
            raise
        async for piece in word_by_word(completion, seconds):
            yield piece

    async def close(self) -> None:
        """Nothing to free."""

    def _seconds(self, request: Request) -> float:
        return self._latency(request) if self._latency else 0.0

    def _written(self, request: Request, seconds: float) -> Completion:
        kind = self._failures.get(request_key(request))
        if kind:
            raise BackendError(kind, f"scripted failure of {request_key(request)}")
        text = self._script(request)
        for stop in request.stop:
            text = text.partition(stop)[0]
        usage = Usage(prompt_tokens=len(request.prompt_ids), completion_tokens=len(text.split()), seconds=seconds)
        return Completion(text, usage)
