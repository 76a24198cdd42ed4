"""Lucene alone: what a search costs where nothing but the index is at work, and an index of a million passages."""

import json
import resource
import time
from pathlib import Path
from typing import Any

from benchmarks.scaling.crew import PASSAGES

_QUERIES = 6000


def search_cost(index: Path) -> dict[str, float]:
    """CPU time per query of the kind that the crew sends, in batches as the crew sends them."""
    from steper_ray.backends.lucene import LuceneIndex

    opened = LuceneIndex.open(index)
    queries = [
        f"Which river is town {number % PASSAGES} at, in case {number}? Passage 1 says something about q{number}."
        for number in range(_QUERIES)
    ]
    for query in queries[:500]:
        opened.search(query, 4)
    started = time.process_time()
    for start in range(500, _QUERIES, 8):
        opened.search_many(queries[start : start + 8], 4)
    return {"lucene_ms_per_query": 1000 * (time.process_time() - started) / (_QUERIES - 500)}


def million(folder: Path, passages: int) -> dict[str, Any]:
    """Write a demo world of so many passages, index it, and search it: one by one and in batches."""
    from steper_ray.config import load_config
    from steper_ray.demo.writer import write_world
    from steper_ray.index.run import build

    write_world(folder, 7, passages, 2000, 2000)
    config = load_config(None, [f"run.folder={folder}", f"index.corpus={folder / 'corpus.jsonl'}"])
    started = time.monotonic()
    build(config)
    seconds = time.monotonic() - started
    builder = resource.getrusage(resource.RUSAGE_CHILDREN)
    size = sum(file.stat().st_size for file in (folder / "index").rglob("*") if file.is_file())
    return {
        "passages": passages,
        "index_s": seconds,
        "index_passages_per_s": passages / seconds,
        "index_mib": size / 2**20,
        "corpus_mib": (folder / "corpus.jsonl").stat().st_size / 2**20,
        "indexing_peak_mib": builder.ru_maxrss / 2**10,
        **_rates(folder),
    }


def _rates(folder: Path) -> dict[str, float]:
    from steper_ray.backends.lucene import LuceneIndex

    opened = LuceneIndex.open(folder / "index")
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    queries = [row["question"] for row in rows]
    opened.search_many(queries[:200], 4)
    started = time.monotonic()
    for query in queries[:500]:
        opened.search(query, 4)
    one_by_one = 500 / (time.monotonic() - started)
    started = time.monotonic()
    opened.search_many(queries, 4)
    return {
        "queries_per_s": one_by_one,
        "queries_per_s_batched": len(queries) / (time.monotonic() - started),
        "searching_peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }
