"""The deployment that searches: a JVM in a process of its own, and so without torch."""

from pathlib import Path

from steper_ray.backends.index_source import IndexSource
from steper_ray.backends.lucene import LuceneIndex
from steper_ray.core.types import Passage


class RetrieverReplica:
    """One opened index. Serve runs these methods on threads, which Lucene allows."""

    def __init__(self, index: Path, source: IndexSource | None = None) -> None:
        self._index = LuceneIndex.open(source.local() if source else index)
        self._index.warm_up()

    def search(self, query: str, k: int) -> tuple[Passage, ...]:
        """The k best passages, best first.

        Raises:
            BackendError: kind `retriever`.
        """
        return self._index.search(query, k)
