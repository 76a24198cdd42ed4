"""The retriever as Ray actors, each with a JVM of its own, and the client that the loop's driver awaits."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from steper_ray.backends.batches import Batches
from steper_ray.backends.index_source import IndexSource
from steper_ray.core.types import FailureKind, Passage
from steper_ray.drive.placement import RETRIEVER_CPUS, SHARE
from steper_ray.errors import BackendError

_MOST_PER_CALL = 64
_REST_S = 0.02
"""Between two calls of one actor: a call costs the processes on both sides milliseconds, whatever it carries."""
_RETURN_S = 60.0
"""How long an actor that Ray starts anew is waited for."""
_START_S = 1800.0
"""A cluster may have to grow first."""
_HUNG_S = 240.0
"""Longer than any search, and than the start of an actor that Ray brings back."""


class RetrieverActor:
    """Answers searches over one index; holds no torch, since the JVM and torch crash in one process."""

    def __init__(self, folder: Path, source: IndexSource | None = None) -> None:
        from steper_ray.backends.lucene import LuceneIndex

        self._index = LuceneIndex.open(source.local() if source else folder)

    def search_many(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """The k best passages of each query."""
        if len(queries) == 1:
            return [self._index.search(queries[0], k)]
        return self._index.search_many(queries, k)

    def node(self) -> str:
        """Id of the node it runs on; answers once the index is open."""
        return str(ray.get_runtime_context().get_node_id())


@dataclass(frozen=True, slots=True)
class RetrieverHandle:
    """A retriever actor and the node it started on."""

    actor: Any
    node: str


def start_retrievers(
    folder: Path, count: int, resource: str | None = None, source: IndexSource | None = None
) -> list[RetrieverHandle]:
    """Start retriever actors, spread over the nodes (that offer `resource`), and wait until their index is open.

    The index is fetched from its source where one is named.

    Raises:
        BackendError: an index could not be opened.
    """
    options: dict[str, Any] = {"num_cpus": RETRIEVER_CPUS, "resources": {resource: SHARE} if resource else {}}
    forever: dict[str, Any] = {"max_restarts": -1, "max_task_retries": 3, "scheduling_strategy": "SPREAD"}
    remote: Any = ray.remote(**options, **forever)(RetrieverActor)
    actors = [remote.remote(folder, source) for _ in range(count)]
    try:
        nodes = ray.get([actor.node.remote() for actor in actors], timeout=_START_S)
    except ray.exceptions.RayError as error:
        raise BackendError(FailureKind.RETRIEVER, f"the retriever did not start: {_cause(error)}") from error
    return [RetrieverHandle(actor, node) for actor, node in zip(actors, nodes, strict=True)]


class RetrieverClient:
    """A `Retriever` that asks the actors of its own node, or of any where its node has none.

    One call per actor is under way at a time, with a short rest after it; queries that come in meanwhile travel
    together in the next. An actor that answers nothing for `hung_s` seconds is ended, and Ray starts it anew.
    """

    def __init__(self, handles: Sequence[RetrieverHandle], node: str, hung_s: float = _HUNG_S) -> None:
        self._all = [handle.actor for handle in handles]
        near = [handle.actor for handle in handles if handle.node == node]
        self._batches = Batches(near or self._all, self._ask, _MOST_PER_CALL, _REST_S)
        self._hung_s = hung_s

    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        """The k best passages.

        Raises:
            BackendError: kind `retriever`, when no actor answered.
        """
        return await self._batches.search(query, k)

    async def _ask(self, actor: Any, queries: list[str], k: int) -> list[tuple[Passage, ...]]:
        """While Ray starts a lost actor anew, it is waited for; one that is gone for good or hung has another asked."""
        given_up, patience = 0, time.monotonic() + _RETURN_S
        try:
            while True:
                try:
                    return await self._found(actor, queries, k)
                except ray.exceptions.ActorUnavailableError:
                    if time.monotonic() > patience:
                        raise
                    await asyncio.sleep(1.0)
                except (ray.exceptions.RayActorError, TimeoutError):
                    given_up += 1
                    if given_up > 1:
                        raise
                actor = self._other_than(actor)
        except TimeoutError:
            raise BackendError(FailureKind.RETRIEVER, f"no search was answered within {self._hung_s:g} s") from None
        except ray.exceptions.RayError as error:
            raise BackendError(FailureKind.RETRIEVER, f"search failed: {_cause(error)}") from error

    def _other_than(self, actor: Any) -> Any:
        return random.choice([one for one in self._all if one is not actor] or [actor])

    async def _found(self, actor: Any, queries: list[str], k: int) -> list[tuple[Passage, ...]]:
        call = actor.search_many.remote(queries, k)
        try:
            async with asyncio.timeout(self._hung_s):
                found: list[tuple[Passage, ...]] = await call
                return found
        except TimeoutError:
            # Cancelled first, or Ray would hand the same call to the new process.
            ray.cancel(call)
            ray.kill(actor, no_restart=False)
            raise


def _cause(error: BaseException) -> BaseException:
    """What the actor raised; Ray's own text is a traceback, and goes into every failure's row."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error
