"""An engine in this process: one thread steps it, requests come in by queue and leave by sinks.

The fastest way on CPU: no messages between processes, and one OpenMP pool that owns all cores.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

from steper_ray.backends.vllm_engine import EngineDied, cache_tokens_of, refusals_translated
from steper_ray.backends.vllm_sinks import FutureSink, QueueSink, Sink
from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError

if TYPE_CHECKING:
    from vllm import PoolingRequestOutput, RequestOutput, SamplingParams
    from vllm.inputs import TokensInput
    from vllm.v1.engine.llm_engine import LLMEngine

logger = logging.getLogger(__name__)


class InprocessEngine:
    """Steps an `LLMEngine`, which is not thread-safe: after construction only the stepping thread touches it."""

    def __init__(self, engine: "LLMEngine") -> None:
        self._engine = engine
        self._context_tokens: int = engine.model_config.max_model_len
        self._cache_tokens = cache_tokens_of(engine.vllm_config)
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting: dict[str, Sink] = {}
        self._numbers = count()
        self._death: EngineDied | None = None
        self._thread = Thread(target=self._run, name="vllm-engine", daemon=True)
        self._thread.start()

    @property
    def context_tokens(self) -> int:
        """Most tokens of prompt and completion together."""
        return self._context_tokens

    @property
    def cache_tokens(self) -> int | None:
        """Tokens that the KV cache holds."""
        return self._cache_tokens

    async def generate(self, prompt: "TokensInput", params: "SamplingParams") -> "RequestOutput":
        """Compute one request; see `Engine.generate`."""
        sink = FutureSink()
        name = self._ask(prompt, params, sink)
        try:
            return await asyncio.wrap_future(sink.future)
        except asyncio.CancelledError:
            self._inbox.put(partial(self._abort, name))
            raise

    async def stream(self, prompt: "TokensInput", params: "SamplingParams") -> "AsyncGenerator[RequestOutput, None]":
        """Compute one request; see `Engine.stream`."""
        sink = QueueSink()
        name = self._ask(prompt, params, sink)
        try:
            async for output in sink.outputs():
                yield output
        finally:
            # Nothing happens where it has ended.
            self._inbox.put(partial(self._abort, name))

    async def close(self) -> None:
        """End the stepping thread and free the engine."""
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)
        self._engine.engine_core.shutdown()

    def _ask(self, prompt: "TokensInput", params: "SamplingParams", sink: Sink) -> str:
        name = str(next(self._numbers))
        self._inbox.put(partial(self._submit, name, prompt, params, sink))
        return name

    def _run(self) -> None:
        try:
            while self._take_commands():
                for output in self._engine.step():
                    self._deliver(output)
        except Exception as error:
            logger.exception("the vLLM engine died")
            self._death = EngineDied(f"{type(error).__name__}: {error}")
            self._fail_for_ever(self._death)

    def _take_commands(self) -> bool:
        """Run what has come in, waiting for it only when there is nothing to compute; False: close."""
        while True:
            try:
                command = self._inbox.get(block=not self._engine.has_unfinished_requests())
            except Empty:
                return True
            if command is None:
                return False
            command()

    def _submit(self, name: str, prompt: "TokensInput", params: "SamplingParams", sink: Sink) -> None:
        if not sink.open():
            return
        if self._death:
            sink.fail(self._death)
            return
        self._waiting[name] = sink
        try:
            with refusals_translated():
                self._engine.add_request(name, prompt, params)
        except BackendError as error:
            self._waiting.pop(name).fail(error)
        except Exception as error:  # one odd request must not end the engine
            refusal = BackendError(FailureKind.REFUSED, f"vLLM could not take the request: {error!r}")
            self._waiting.pop(name).fail(refusal)

    def _abort(self, name: str) -> None:
        if self._waiting.pop(name, None):
            self._engine.abort_request([name])

    def _deliver(self, output: "RequestOutput | PoolingRequestOutput[Any]") -> None:
        waiting = self._waiting
        sink = waiting.pop(output.request_id, None) if output.finished else waiting.get(output.request_id)
        if sink:
            sink.put(cast("RequestOutput", output))

    def _fail_for_ever(self, death: EngineDied) -> None:
        for sink in self._waiting.values():
            sink.fail(death)
        self._waiting.clear()
        while (command := self._inbox.get()) is not None:
            command()
