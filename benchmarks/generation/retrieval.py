"""Lucene in a child process, for contenders whose own process holds the engine."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

from steper_ray.core.types import Passage


class Searcher:
    """Answers batches of queries from an index, on all cores; use as a context manager."""

    def __init__(self, index: Path) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._pipe = ours
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, index), daemon=True)
        self._process.start()
        theirs.close()
        self.search_many(["warm up", "the searcher"], 1)

    def search_many(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """The k best passages of each query, in the order of the queries."""
        self._pipe.send((list(queries), k))
        found: list[tuple[Passage, ...]] = self._pipe.recv()
        return found

    def __enter__(self) -> "Searcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join()


def _serve(pipe: "Connection[object, tuple[list[str], int]]", folder: Path) -> None:
    from steper_ray.backends.lucene import LuceneIndex

    index = LuceneIndex.open(folder)
    while True:
        try:
            queries, k = pipe.recv()
        except EOFError:
            return
        pipe.send(index.search_many(queries, k))
