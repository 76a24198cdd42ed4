"""A retriever that remembers what it was told, and asks only once for what several want at the same time."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from steper_ray.backends.interfaces import Retriever
from steper_ray.core.types import Passage

_CACHED_QUERIES = 10_000


class QueryCache:
    """A `Retriever` around another one; the least recently used queries are forgotten.

    `told` hears of every query whether it was known.
    """

    def __init__(
        self, retriever: Retriever, size: int = _CACHED_QUERIES, told: Callable[[bool], None] = lambda _known: None
    ) -> None:
        self._retriever, self._size, self._told = retriever, size, told
        self._found: OrderedDict[tuple[str, int], asyncio.Task[tuple[Passage, ...]]] = OrderedDict()

    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        """The k best passages; raises what the retriever raises, and then forgets the query."""
        key = (query, k)
        task = self._found.get(key)
        self._told(task is not None)
        if task is None:
            task = asyncio.ensure_future(self._retriever.search(query, k))
            task.add_done_callback(partial(self._forget_failed, key))
            self._found[key] = task
            if len(self._found) > self._size:
                self._found.popitem(last=False)
        else:
            self._found.move_to_end(key)
        # One of several who wait may give up; the others still want the answer.
        return await asyncio.shield(task)

    def _forget_failed(self, key: tuple[str, int], task: asyncio.Task[tuple[Passage, ...]]) -> None:
        """Also when nobody waits any more: the next one shall not get an old error."""
        if (task.cancelled() or task.exception()) and self._found.get(key) is task:
            del self._found[key]
