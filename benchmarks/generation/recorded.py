"""The model of our own contender: our engine computes as many tokens as recorded, and the recorded text is returned."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.generation.engine import WARM_UP_IDS, WARM_UP_TOKENS, StepClock, watch
from benchmarks.generation.workload import read_workload
from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.vllm import VllmModel
from steper_ray.backends.vllm_engine import Engine
from steper_ray.core.chat import ChatFormat
from steper_ray.core.types import Prompt
from steper_ray.sections.model import ModelSection

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams
    from vllm.inputs import TokensInput


@dataclass(frozen=True, slots=True)
class RecordedLoader:
    """Loads the model in the actor's process; to be given as `LoopJob.load`."""

    workload: Path
    journal: Path
    """A file that gets a line per request: times, and the engine's stop-watch."""

    def __call__(self, section: ModelSection, seed: int, chat: ChatFormat | None) -> "RecordedModel":
        """Start and warm up the engine."""
        from steper_ray.backends.vllm_inprocess import InprocessEngine
        from steper_ray.backends.vllm_setup import start_engine

        began = time.time()
        engine = start_engine(section, seed)
        assert isinstance(engine, InprocessEngine), "the stop-watch needs the engine of this process"
        model = VllmModel(ForcedEngine(engine), end_of_turn_id=chat.end_of_turn_id if chat else None)
        request = Request(Prompt(()), WARM_UP_IDS, WARM_UP_TOKENS)
        # Loaders run where an event loop may run already.
        warm_up = threading.Thread(target=lambda: asyncio.run(_warm_up(model, request)))
        warm_up.start()
        warm_up.join()
        clock = watch(engine._engine)
        journal = Journal(self.journal, clock, chat)
        journal.write({"loaded_s": time.time() - began})
        lines = {
            (found.question.id, step): line for found in read_workload(self.workload) for step, *line in rows(found)
        }
        return RecordedModel(model, lines, journal)


def rows(recording: Any) -> Iterator[tuple[int, str, int]]:
    """Step, text and tokens of each rationale."""
    numbers = range(1, len(recording.rationales) + 1)
    return zip(numbers, recording.rationales, recording.tokens, strict=True)


async def _warm_up(model: VllmModel, request: Request) -> None:
    await model.complete(request)


class ForcedEngine:
    """An engine that writes exactly `max_tokens` tokens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def context_tokens(self) -> int:
        """The engine's."""
        return self._engine.context_tokens

    @property
    def cache_tokens(self) -> int | None:
        """The engine's."""
        return self._engine.cache_tokens

    async def generate(self, prompt: "TokensInput", params: "SamplingParams") -> "RequestOutput":
        """As the engine, whatever token comes."""
        params.ignore_eos, params.min_tokens = True, params.max_tokens or 0
        return await self._engine.generate(prompt, params)

    def stream(self, prompt: "TokensInput", params: "SamplingParams") -> "AsyncGenerator[RequestOutput, None]":
        """As the engine, whatever token comes."""
        params.ignore_eos, params.min_tokens = True, params.max_tokens or 0
        return self._engine.stream(prompt, params)

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()


class Journal:
    """Lines of JSON about requests, with the stop-watch's state and the seconds spent on making token ids so far."""

    def __init__(self, path: Path, clock: StepClock, chat: ChatFormat | None) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._clock = clock
        self._tokenised_s = 0.0
        if chat is not None:
            self._watch_tokeniser(chat)

    def write(self, facts: dict[str, Any]) -> None:
        """Append a line."""
        figures = {**facts, **self._clock.figures(), "tokenising_s": self._tokenised_s, "cpu_s": time.process_time()}
        self._file.write(json.dumps(figures) + "\n")
        self._file.flush()

    def _watch_tokeniser(self, chat: ChatFormat) -> None:
        prompt_ids = chat.prompt_ids

        def timed(prompt: Prompt) -> list[int]:
            started = time.perf_counter()
            try:
                return prompt_ids(prompt)
            finally:
                self._tokenised_s += time.perf_counter() - started

        chat.prompt_ids = timed  # type: ignore[method-assign]


class RecordedModel:
    """A `LanguageModel`."""

    def __init__(self, model: VllmModel, lines: dict[tuple[str, int], list[Any]], journal: Journal) -> None:
        self._model, self._lines, self._journal = model, lines, journal

    @property
    def context_tokens(self) -> int:
        """The engine's."""
        return self._model.context_tokens

    @property
    def cache_tokens(self) -> int | None:
        """The engine's."""
        return self._model.cache_tokens

    async def complete(self, request: Request) -> Completion:
        """Compute the recorded number of tokens, then return the recorded text."""
        text, tokens = self._lines[request.question_id, request.step]
        arrived = time.time()
        completion = await self._model.complete(replace(request, max_tokens=tokens))
        times = {"question": request.question_id, "step": request.step, "arrived": arrived, "answered": time.time()}
        self._journal.write(times)
        return Completion(text, completion.usage)

    async def close(self) -> None:
        """Free the engine."""
        await self._model.close()
