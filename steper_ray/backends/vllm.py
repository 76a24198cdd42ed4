"""A language model answered by a vLLM engine of ours."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.vllm_engine import Engine, EngineDied, refusals_translated
from steper_ray.backends.watchdog import Watchdog, leave
from steper_ray.core.types import FailureKind, Usage
from steper_ray.errors import BackendError
from steper_ray.sections.model import ModelSection

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams
    from vllm.inputs import TokensInput

logger = logging.getLogger(__name__)

EXIT_GRACE_S = 1.0


class VllmModel:
    """A `LanguageModel`; made by `load`.

    With `exit_on_engine_death` a dead engine ends the process: the requests in flight fail with kind `engine`, new ones
    wait, and after a second the process exits with 1. A Ray actor is then restarted, and what waited runs again; it
    would otherwise take every question left in its queue and fail it at once. An engine that hangs counts as dead.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        end_of_turn_id: int | None = None,
        exit_on_engine_death: bool = False,
        watchdog_s: float = 240.0,
    ) -> None:
        self._engine = engine
        self._stop_token_ids = [] if end_of_turn_id is None else [end_of_turn_id]
        self._exit_on_engine_death = exit_on_engine_death
        self._watchdog = Watchdog(watchdog_s, self._give_up) if exit_on_engine_death else None
        self._calls: set[asyncio.Task[object]] = set()
        self._hung = False
        self._leaving = False

    @classmethod
    def load(
        cls,
        section: ModelSection,
        seed: int,
        *,
        end_of_turn_id: int | None = None,
        exit_on_engine_death: bool = False,
    ) -> "VllmModel":
        """Start an engine; takes seconds to minutes and blocks the caller.

        `end_of_turn_id` ends completions besides the end tokens of the model's own generation config. `seed` is the
        engine's: requests have none, since vLLM cannot seed them one by one on CPU.

        Raises:
            ConfigError: no model is named, or vLLM refuses a setting.
            InputError: the folder is not a model.
            EnvironmentFault: vLLM is not installed or does not start.
        """
        from steper_ray.backends.vllm_setup import start_engine

        engine = start_engine(section, seed)
        return cls(
            engine,
            end_of_turn_id=end_of_turn_id,
            exit_on_engine_death=exit_on_engine_death,
            watchdog_s=section.watchdog_s,
        )

    @property
    def context_tokens(self) -> int:
        """Most tokens of prompt and completion together: `context_tokens` of the section, else the model's limit."""
        return self._engine.context_tokens

    @property
    def cache_tokens(self) -> int | None:
        """Tokens that the engine's KV cache holds."""
        return self._engine.cache_tokens

    async def complete(self, request: Request) -> Completion:
        """Write one completion; cancelling the call takes the request out of the engine.

        Raises:
            BackendError: kind `prompt_too_long`, `refused` (vLLM finds the request invalid) or `engine`.
        """
        self._check_length(request)
        if self._leaving:
            await asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        output = await self._watched(request)
        return _completion(output, seconds=time.perf_counter() - started)

    async def stream(self, request: Request) -> AsyncGenerator[str | Completion, None]:
        """Write one completion token by token; see `StreamingModel.stream`, raises as `complete`."""
        self._check_length(request)
        if self._leaving:
            await asyncio.get_running_loop().create_future()
        started, written = time.perf_counter(), _Written()
        with self._watchdog.watching() if self._watchdog else nullcontext():
            async with aclosing(self._outputs(request)) as outputs:
                async for output in outputs:
                    if piece := written.add(output):
                        yield piece
        yield written.completion(time.perf_counter() - started)

    async def close(self) -> None:
        """Free the engine; no request may be in flight."""
        await self._engine.close()

    async def _watched(self, request: Request) -> "RequestOutput":
        """Generate; once the engine hangs, this call ends with an error instead of waiting for ever."""
        call = asyncio.current_task()
        if self._watchdog is None or call is None:
            return await self._generate(request)
        self._calls.add(call)
        try:
            with self._watchdog.watching():
                return await self._generate(request)
        except asyncio.CancelledError:
            if not self._hung:
                raise
            call.uncancel()
            raise BackendError(FailureKind.ENGINE, "the vLLM engine hung: it completed nothing in time") from None
        finally:
            self._calls.discard(call)

    async def _generate(self, request: Request) -> "RequestOutput":
        prompt, params = self._input(request)
        try:
            return await self._engine.generate(prompt, params)
        except EngineDied as death:
            raise self._died(death) from death

    async def _outputs(self, request: Request) -> "AsyncGenerator[RequestOutput, None]":
        from vllm.sampling_params import RequestOutputKind

        prompt, params = self._input(request)
        params.output_kind = RequestOutputKind.DELTA
        try:
            async with aclosing(self._engine.stream(prompt, params)) as outputs:
                async for output in outputs:
                    yield output
        except EngineDied as death:
            raise self._died(death) from death

    def _input(self, request: Request) -> "tuple[TokensInput, SamplingParams]":
        from vllm.inputs import tokens_input

        with refusals_translated():
            return tokens_input(list(request.prompt_ids)), self._sampling_params(request)

    def _died(self, death: EngineDied) -> BackendError:
        self._leave()
        return BackendError(FailureKind.ENGINE, f"the vLLM engine died: {death}")

    def _check_length(self, request: Request) -> None:
        prompt_tokens, limit = len(request.prompt_ids), self.context_tokens
        if prompt_tokens + request.max_tokens > limit:
            raise BackendError(
                FailureKind.PROMPT_TOO_LONG,
                f"{prompt_tokens} prompt tokens and {request.max_tokens} to be written exceed the model's {limit}",
            )

    def _sampling_params(self, request: Request) -> "SamplingParams":
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            stop=list(request.stop),
            stop_token_ids=self._stop_token_ids,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _give_up(self) -> None:
        """Called by the watchdog's thread."""
        logger.error("the vLLM engine hung")
        self._hung = True
        self._leave()
        for call in tuple(self._calls):
            call.get_loop().call_soon_threadsafe(call.cancel)

    def _leave(self) -> None:
        if self._exit_on_engine_death and not self._leaving:
            self._leaving = True
            timer = threading.Timer(EXIT_GRACE_S, leave)
            timer.daemon = True
            timer.start()


class _Written:
    """What the outputs of a stream add up to."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._tokens = self._prompt_tokens = self._cached_tokens = 0
        self._finish_reason: str | None = None

    def add(self, output: "RequestOutput") -> str:
        """Take an output with what is new in it; gives its text."""
        new = output.outputs[0]
        self._texts.append(new.text)
        self._tokens += len(new.token_ids)
        self._prompt_tokens = len(output.prompt_token_ids or ())
        self._cached_tokens = output.num_cached_tokens or 0
        self._finish_reason = new.finish_reason
        return new.text

    def completion(self, seconds: float) -> Completion:
        """The whole, after the last output."""
        usage = Usage(self._prompt_tokens, self._cached_tokens, self._tokens, seconds)
        return Completion("".join(self._texts), usage, cut=_was_cut(self._finish_reason))


def _completion(output: "RequestOutput", seconds: float) -> Completion:
    written = output.outputs[0]
    usage = Usage(
        prompt_tokens=len(output.prompt_token_ids or ()),
        cached_tokens=output.num_cached_tokens or 0,
        completion_tokens=len(written.token_ids),
        seconds=seconds,
    )
    return Completion(written.text, usage, cut=_was_cut(written.finish_reason))


def _was_cut(finish_reason: str | None) -> bool:
    if finish_reason not in ("stop", "length"):
        raise BackendError(FailureKind.ENGINE, f"vLLM ended the request with {finish_reason!r}")
    return finish_reason == "length"
