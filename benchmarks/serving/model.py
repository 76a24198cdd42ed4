"""The student of the measured service: our engine computes what was recorded, streamed or not, and can forget it."""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.generation.recorded import ForcedEngine, RecordedLoader, RecordedModel
from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.vllm import VllmModel
from steper_ray.backends.vllm_inprocess import InprocessEngine
from steper_ray.core.chat import ChatFormat
from steper_ray.sections.model import ModelSection


@dataclass(frozen=True, slots=True)
class ServedLoader:
    """To be given as `ServicePlan.load`."""

    workload: Path
    journal: Path

    def __call__(self, section: ModelSection, seed: int, chat: ChatFormat | None) -> "ServedModel":
        """Start and warm up the engine."""
        return ServedModel(RecordedLoader(self.workload, self.journal)(section, seed, chat))


class ServedModel:
    """A `LanguageModel` that streams.

    The probe of `GET /readyz`, which belongs to no question, empties the prefix cache: the next clients ask the same
    questions again.
    """

    def __init__(self, recorded: RecordedModel) -> None:
        self._recorded = recorded

    @property
    def context_tokens(self) -> int:
        """The engine's."""
        return self._recorded.context_tokens

    @property
    def cache_tokens(self) -> int | None:
        """The engine's."""
        return self._recorded.cache_tokens

    async def complete(self, request: Request) -> Completion:
        """Compute the recorded number of tokens, then return the recorded text."""
        if request.question_id:
            return await self._recorded.complete(request)
        completion = await self._model.complete(request)
        forced = self._model._engine
        assert isinstance(forced, ForcedEngine)
        engine = forced._engine
        assert isinstance(engine, InprocessEngine)

        def forget() -> None:
            engine._engine.reset_prefix_cache()

        engine._inbox.put(forget)
        return completion

    async def stream(self, request: Request) -> AsyncGenerator[str | Completion, None]:
        """The engine's own pieces, and the recorded text as the completion."""
        text, tokens = self._recorded._lines[request.question_id, request.step]
        arrived = time.time()
        async for piece in self._model.stream(replace(request, max_tokens=tokens)):
            if isinstance(piece, str):
                yield piece
                continue
            times = {"question": request.question_id, "step": request.step, "arrived": arrived}
            self._recorded._journal.write({**times, "answered": time.time()})
            yield Completion(text, piece.usage)

    async def close(self) -> None:
        """Free the engine."""
        await self._recorded.close()

    @property
    def _model(self) -> VllmModel:
        return self._recorded._model
