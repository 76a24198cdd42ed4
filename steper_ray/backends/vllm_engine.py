"""What `VllmModel` asks of an engine, in whichever process it computes, and how its errors become ours."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams
    from vllm.config import VllmConfig
    from vllm.inputs import TokensInput


class EngineDied(Exception):
    """The engine answers no request any more."""


class Engine(Protocol):
    """A running vLLM engine; calls come from one event loop."""

    @property
    def context_tokens(self) -> int:
        """Most tokens of prompt and completion together."""

    @property
    def cache_tokens(self) -> int | None:
        """Tokens that the KV cache holds; None where vLLM does not say."""

    async def generate(self, prompt: "TokensInput", params: "SamplingParams") -> "RequestOutput":
        """Compute one request; cancelling the call takes it out of the engine.

        Raises:
            BackendError: this request failed, others go on.
            EngineDied: all requests failed, and so will every later one.
        """

    def stream(self, prompt: "TokensInput", params: "SamplingParams") -> "AsyncGenerator[RequestOutput, None]":
        """The outputs of one request as they come, the last one `finished`; closing it takes the request out.

        Raises as `generate`. `params.output_kind` says whether an output holds what is new or all.
        """

    async def close(self) -> None:
        """Stop the engine and free its memory."""


def cache_tokens_of(config: "VllmConfig") -> int | None:
    """Tokens that the KV cache of a running engine holds."""
    blocks: int | None = config.cache_config.num_gpu_blocks
    return blocks * config.cache_config.block_size if blocks else None


@contextmanager
def refusals_translated() -> Iterator[None]:
    """Turn vLLM's complaints about one request into a BackendError of kind `refused`."""
    from vllm.exceptions import VLLMClientError

    try:
        yield
    except (VLLMClientError, ValueError, TypeError) as error:
        raise BackendError(FailureKind.REFUSED, f"vLLM refused the request: {error}") from error
