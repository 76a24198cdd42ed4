"""A process with a JVM that answers the Lucene tests, since pytest's own may hold torch; JSON lines in and out."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import Any

from steper_ray.backends.jvm import java_class
from steper_ray.backends.lucene import LuceneIndex, build_index
from steper_ray.core.types import Passage
from steper_ray.errors import SteperError


def build(folder: str, rows: list[list[str]], **settings: Any) -> str:
    return build_index((Passage(*row) for row in rows), Path(folder), **settings).corpus_digest


@cache
def _open(folder: str) -> LuceneIndex:
    return LuceneIndex.open(Path(folder))


def search(folder: str, query: str, k: int = 10) -> list[Any]:
    return [astuple(passage) for passage in _open(folder).search(query, k)]


def warm_up(folder: str) -> None:
    _open(folder).warm_up()


def search_many(folder: str, queries: list[str], k: int = 10) -> list[Any]:
    return [[astuple(passage) for passage in found] for found in _open(folder).search_many(queries, k)]


def search_in_threads(folder: str, queries: list[str], k: int = 10) -> list[Any]:
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda query: _open(folder).search(query, k), queries)
        return [[astuple(passage) for passage in passages] for passages in found]


def languages() -> list[str]:
    known = java_class("io.anserini.analysis.AnalyzerMap").analyzerMap.keySet().toArray()
    return sorted([*known, "en"])


def cuts_thai() -> bool:
    return bool(java_class("org.apache.lucene.analysis.th.ThaiTokenizer").DBBI_AVAILABLE)


def modules() -> list[str]:
    return sorted({name.partition(".")[0] for name in sys.modules})


def most_alive(folder: str, count: int) -> int:
    """The most passages that exist at once while so many are indexed."""
    alive = most = 0

    class Text(str):
        def __new__(cls, value: str) -> "Text":
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            return super().__new__(cls, value)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def passages() -> Iterator[Passage]:
        for number in range(count):
            yield Passage(str(number), "", Text(f"text {number}"))

    build_index(passages(), Path(folder))
    return most


def main() -> None:
    for line in sys.stdin:
        name, values = json.loads(line)
        try:
            answer = {"value": globals()[name](**values)}
        except SteperError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
