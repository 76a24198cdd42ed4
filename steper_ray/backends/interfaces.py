"""The two interfaces that the loop's drivers talk to, and what passes through them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from steper_ray.core.types import Passage, Prompt, Usage


@dataclass(frozen=True, slots=True)
class Request:
    """One completion to be written.

    `prompt_ids` is what engines receive; `prompt` is the same as chat messages, for endpoints that take those.
    The last three fields say what the request is for; recordings look their answer up by them.
    """

    prompt: Prompt
    prompt_ids: tuple[int, ...]
    max_tokens: int
    stop: tuple[str, ...] = ()
    """Text that ends the completion and is not part of it; the end-of-turn token always does."""
    temperature: float = 0.0
    question_id: str = ""
    path: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """The text written for a request, without the stop text."""

    text: str
    usage: Usage
    cut: bool = False
    """`max_tokens` ended it, not the model."""


class LanguageModel(Protocol):
    """Writes completions; many may be in flight at once on one event loop."""

    @property
    def context_tokens(self) -> int | None:
        """Most tokens of prompt and completion together; None where there is no limit."""

    @property
    def cache_tokens(self) -> int | None:
        """Tokens whose keys and values the engine can hold at once; None where that is nobody's concern here."""

    async def complete(self, request: Request) -> Completion:
        """Write one completion.

        Raises:
            BackendError: with a `FailureKind` value, when this request could not be answered.
        """

    async def close(self) -> None:
        """Free the engine; no request may be in flight."""


@runtime_checkable
class StreamingModel(Protocol):
    """What a `LanguageModel` may also be able to do: tell its text as it is written."""

    def stream(self, request: Request) -> AsyncGenerator[str | Completion, None]:
        """Write one completion: pieces of its text, the whole as the last item; closing it ends the work.

        Raises:
            BackendError: as `LanguageModel.complete`, when the iterator is asked for an item.
        """


class Retriever(Protocol):
    """Finds passages for a query."""

    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        """The k best passages, best first; fewer when the corpus has no more that match.

        Raises:
            BackendError: kind `retriever`, when the search failed.
        """
