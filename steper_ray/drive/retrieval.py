"""The retriever as Ray actors, each with a JVM of its own, and the client that the loop's driver awaits."""

import itertools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import ray

from steper_ray.core.types import FailureKind, Passage
from steper_ray.errors import BackendError

_CACHED_QUERIES = 50_000


class RetrieverActor:
    """Answers searches over one index; holds no torch, since the JVM and torch crash in one process."""

    def __init__(self, folder: Path) -> None:
        from steper_ray.backends.lucene import LuceneIndex

        self._index = LuceneIndex.open(folder)

    def search(self, query: str, k: int) -> tuple[Passage, ...]:
        """The k best passages."""
        return self._index.search(query, k)

    def ready(self) -> bool:
        """True once the index is open."""
        return True


def start_retrievers(folder: Path, count: int) -> list[Any]:
    """Start retriever actors and wait until their index is open.

    Raises:
        BackendError: an index could not be opened.
    """
    remote: Any = ray.remote(num_cpus=0.5, max_restarts=-1, max_task_retries=3)(RetrieverActor)
    actors = [remote.remote(folder) for _ in range(count)]
    try:
        ray.get([actor.ready.remote() for actor in actors])
    except ray.exceptions.RayError as error:
        raise BackendError(FailureKind.RETRIEVER, f"the retriever did not start: {error}") from error
    return actors


class RetrieverClient:
    """A `Retriever` that asks the actors in turn and remembers what it was told."""

    def __init__(self, actors: list[Any]) -> None:
        self._next = itertools.cycle(actors)
        self._cache: OrderedDict[tuple[str, int], tuple[Passage, ...]] = OrderedDict()

    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        """The k best passages, from memory where the same query was asked before.

        Raises:
            BackendError: kind `retriever`, when the actor died and did not come back.
        """
        key = (query, k)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        try:
            found: tuple[Passage, ...] = await next(self._next).search.remote(query, k)
        except ray.exceptions.RayError as error:
            raise BackendError(FailureKind.RETRIEVER, f"search failed: {error}") from error
        self._cache[key] = found
        if len(self._cache) > _CACHED_QUERIES:
            self._cache.popitem(last=False)
        return found
