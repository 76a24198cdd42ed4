"""Queries of many questions at once: those that come in while all who search are busy travel together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

from steper_ray.core.types import Passage
from steper_ray.errors import BackendError

Searcher = TypeVar("Searcher")
Found = tuple[Passage, ...]
Ask = Callable[[Searcher, list[str], int], Awaitable[Sequence[Found | BackendError]]]
"""Asks one searcher for the k best passages of each query; an error in the place of passages is that query's alone."""


class Batches(Generic[Searcher]):
    """Hands queries to whichever searcher is free, each of which has one call under way at a time."""

    def __init__(self, searchers: Iterable[Searcher], ask: Ask[Searcher], most: int, rest_s: float = 0.0) -> None:
        """Ask nothing yet.

        Args:
            searchers: actors, connections, or whatever else tells calls at the same time apart.
            ask: one call; what it raises is every query's of that call.
            most: queries in one call.
            rest_s: seconds that a searcher is left alone after a call, so that more queries travel in the next.
        """
        self._free = list(searchers)
        self._ask, self._most, self._rest_s = ask, most, rest_s
        self._waiting: list[tuple[str, int, asyncio.Future[Found]]] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def search(self, query: str, k: int) -> Found:
        """The k best passages; raises what the call raised."""
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((query, k, answer))
        self._send()
        return await answer

    def _send(self) -> None:
        while self._free and self._waiting:
            k = self._waiting[0][1]
            batch = [entry for entry in self._waiting if entry[1] == k][: self._most]
            taken = set(map(id, batch))
            self._waiting = [entry for entry in self._waiting if id(entry) not in taken]
            queries, answers = [query for query, _, _ in batch], [answer for _, _, answer in batch]
            call = asyncio.get_running_loop().create_task(self._call(self._free.pop(), queries, k, answers))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _call(
        self, searcher: Searcher, queries: list[str], k: int, answers: Sequence["asyncio.Future[Found]"]
    ) -> None:
        found: Sequence[Found | Exception]
        try:
            found = await self._ask(searcher, queries, k)
        except Exception as error:
            found = [error] * len(queries)
        finally:
            asyncio.get_running_loop().call_later(self._rest_s, self._rested, searcher)
        for answer, one in zip(answers, found, strict=True):
            if answer.done():  # who asked has given up
                continue
            if isinstance(one, Exception):
                answer.set_exception(one)
            else:
                answer.set_result(one)

    def _rested(self, searcher: Searcher) -> None:
        self._free.append(searcher)
        self._send()
