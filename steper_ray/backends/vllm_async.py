"""An engine in a process of its own, spoken to through vLLM's `AsyncLLM`: the choice on GPUs."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING

from steper_ray.backends.vllm_engine import EngineDied, cache_tokens_of, refusals_translated
from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams
    from vllm.inputs import TokensInput
    from vllm.v1.engine.async_llm import AsyncLLM


class AsyncEngine:
    """Passes requests on to an `AsyncLLM`, which aborts by itself what is cancelled here."""

    def __init__(self, engine: "AsyncLLM") -> None:
        self._engine = engine
        self._numbers = count()

    @property
    def context_tokens(self) -> int:
        """Most tokens of prompt and completion together."""
        limit: int = self._engine.model_config.max_model_len
        return limit

    @property
    def cache_tokens(self) -> int | None:
        """Tokens that the KV cache holds."""
        return cache_tokens_of(self._engine.vllm_config)

    async def generate(self, prompt: "TokensInput", params: "SamplingParams") -> "RequestOutput":
        """Compute one request; see `Engine.generate`."""
        async with aclosing(self.stream(prompt, params)) as outputs:
            return await anext(outputs)

    async def stream(self, prompt: "TokensInput", params: "SamplingParams") -> "AsyncGenerator[RequestOutput, None]":
        """Compute one request; see `Engine.stream`."""
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        try:
            with refusals_translated():
                async with aclosing(self._engine.generate(prompt, params, str(next(self._numbers)))) as outputs:
                    async for output in outputs:
                        yield output
        except EngineDeadError as error:
            raise EngineDied(str(error)) from error
        except EngineGenerateError as error:
            raise BackendError(FailureKind.ENGINE, f"vLLM failed on the request: {error.__cause__!r}") from error

    async def close(self) -> None:
        """End the engine's process."""
        self._engine.shutdown()
