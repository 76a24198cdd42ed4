"""A language model that repeats recorded rationales."""

from collections.abc import AsyncGenerator, Mapping

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.pieces import word_by_word
from steper_ray.core.types import FailureKind, Usage
from steper_ray.errors import BackendError


class ReplayModel:
    """Answers step s of a question with the s-th rationale recorded for its id, whatever the prompt."""

    def __init__(self, recordings: Mapping[str, tuple[str, ...]], usage: Usage | None = None) -> None:
        self._recordings = recordings
        self._usage = usage or Usage()

    @property
    def context_tokens(self) -> None:
        """No limit."""
        return None

    @property
    def cache_tokens(self) -> None:
        """No cache."""
        return None

    async def complete(self, request: Request) -> Completion:
        """Look the rationale up; `Request.step` counts from 1.

        Raises:
            BackendError: kind `no_recording`.
        """
        rationales = self._recordings.get(request.question_id)
        if rationales is None:
            raise BackendError(FailureKind.NO_RECORDING, f"no recording of question {request.question_id!r}")
        if not 1 <= request.step <= len(rationales):
            raise BackendError(
                FailureKind.NO_RECORDING,
                f"question {request.question_id!r} has {len(rationales)} recorded steps, asked for step {request.step}",
            )
        return Completion(rationales[request.step - 1], self._usage)

    async def stream(self, request: Request) -> AsyncGenerator[str | Completion, None]:
        """The same word by word, without a pause; raises as `complete`."""
        async for piece in word_by_word(await self.complete(request)):
            yield piece

    async def close(self) -> None:
        """Nothing to free."""
