"""Searching an index: scores by hand, ties, text in and out, and queries that want to break it."""

from math import log
from pathlib import Path
from typing import Any

import pytest

from steper_ray.backends.index_facts import LANGUAGES, read_facts
from steper_ray.errors import ConfigError, RunFolderError

pytestmark = pytest.mark.lucene

WORLD = [
    ["a", "Zebra", "zebra zebra quokka"],
    ["b", "", "quokka lemur"],
    ["c", "Lemur", "okapi okapi okapi okapi okapi okapi"],
    ["d", "Zürich 😀", "“東京” is not Zürich; 😀 text"],
]


@pytest.fixture(scope="session")
def world(lucene: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("world") / "index")
    lucene("build", folder=folder, rows=WORLD)
    return folder


def _bm25(tf: int, length: int, df: int, lengths: list[int], k1: float, b: float) -> float:
    """Lucene's BM25: without the constant factor k1 + 1 of the original."""
    idf = log(1 + (len(lengths) - df + 0.5) / (df + 0.5))
    return idf * tf / (tf + k1 * (1 - b + b * length / (sum(lengths) / len(lengths))))


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (0.0, 0.0)])
def test_scores_are_those_of_bm25_by_hand(lucene: Any, tmp_path: Path, k1: float, b: float) -> None:
    lucene("build", folder=str(tmp_path / "index"), rows=WORLD[:3], k1=k1, b=b)
    lengths = [4, 2, 7]
    found = lucene("search", folder=str(tmp_path / "index"), query="zebra quokka")
    expected = {
        "a": _bm25(3, 4, 1, lengths, k1, b) + _bm25(1, 4, 2, lengths, k1, b),
        "b": _bm25(1, 2, 2, lengths, k1, b),
    }
    assert {id: score for id, _, _, score in found} == pytest.approx(expected, abs=2e-4)
    assert [id for id, *_ in found] == ["a", "b"]


def test_equal_scores_come_in_the_order_of_their_ids(lucene: Any, tmp_path: Path) -> None:
    rows = [[id, "", "same words here"] for id in ("m", "b", "z", "a", "10", "9")]
    lucene("build", folder=str(tmp_path / "index"), rows=rows)
    for _ in range(3):
        found = lucene("search", folder=str(tmp_path / "index"), query="same words", k=4)
        assert [id for id, *_ in found] == ["10", "9", "a", "b"]


def test_an_index_of_any_size_can_be_warmed_up_and_finds_the_same(lucene: Any, world: str) -> None:
    before = lucene("search", folder=world, query="zebra quokka lemur")
    lucene("warm_up", folder=world)
    assert lucene("search", folder=world, query="zebra quokka lemur") == before


def test_titles_are_searched_and_text_comes_back_unchanged(lucene: Any, world: str) -> None:
    assert lucene("search", folder=world, query="zürich")[0][:3] == WORLD[3]
    assert lucene("search", folder=world, query="😀")[0][:3] == WORLD[3]
    assert lucene("search", folder=world, query="東京")[0][:3] == WORLD[3]
    assert lucene("search", folder=world, query="Lemur", k=1)[0][:3] == WORLD[1]


def test_k_bounds_the_passages_and_fewer_come_when_fewer_match(lucene: Any, world: str) -> None:
    assert len(lucene("search", folder=world, query="zebra quokka lemur", k=2)) == 2
    assert len(lucene("search", folder=world, query="okapi", k=100)) == 1


@pytest.mark.parametrize("query", ["", "   ", "\n", "the of and", "?!*", "\x00", "unknownword", "\ud800"])
def test_a_query_without_a_known_term_finds_nothing(lucene: Any, world: str, query: str) -> None:
    assert lucene("search", folder=world, query=query) == []


@pytest.mark.parametrize(
    "query",
    [
        'okapi" AND (',
        "contents: okapi",
        "okapi~2^3 OR [a TO b] /x+/ {",
        "*okapi? \\",
        "okapi\x00\ud800",
        "<script>okapi</script> '; DROP TABLE",
        "okapi " + " ".join(f"word{number}" for number in range(5000)),
        "okapi " * 20_000,
        "okapi " + "x" * 100_000,
    ],
)
def test_no_query_has_a_syntax_or_is_too_long(lucene: Any, world: str, query: str) -> None:
    assert [id for id, *_ in lucene("search", folder=world, query=query)] == ["c"]


def test_a_batch_gives_what_single_searches_give(lucene: Any, world: str) -> None:
    queries = ["zebra", "", "lemur quokka", "zebra", "\ud800", "okapi"] * 20
    singles = [lucene("search", folder=world, query=query, k=3) for query in queries]
    assert lucene("search_many", folder=world, queries=queries, k=3) == singles
    assert lucene("search_in_threads", folder=world, queries=queries, k=3) == singles
    assert lucene("search_many", folder=world, queries=[]) == []


def test_an_analyzer_belongs_to_its_language(lucene: Any, tmp_path: Path) -> None:
    lucene("build", folder=str(tmp_path / "de"), rows=[["a", "", "Die Häuser der Stadt"]], language="de")
    assert [id for id, *_ in lucene("search", folder=str(tmp_path / "de"), query="Haus")] == ["a"]
    assert "GermanAnalyzer" in read_facts(tmp_path / "de").analyzer


def test_the_known_languages_are_those_of_anserini(lucene: Any, tmp_path: Path) -> None:
    assert sorted(LANGUAGES) == lucene("languages")
    with pytest.raises(ConfigError, match=r"index\.language must be one of ar, bn, .*found 'xx'"):
        lucene("build", folder=str(tmp_path / "index"), rows=WORLD, language="xx")


def test_an_index_with_lost_files_is_refused(lucene: Any, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    lucene("build", folder=str(folder), rows=WORLD)
    for file in (folder / "lucene").glob("_0.*"):
        file.unlink()
    with pytest.raises(RunFolderError, match=r"cannot be opened: .*Build it again with index\.overwrite=true"):
        lucene("search", folder=str(folder), query="zebra")


def test_nothing_heavy_is_imported_and_java_stays_quiet(lucene: Any, world: str) -> None:
    lucene("search", folder=world, query="zebra")
    assert not {"torch", "vllm", "transformers", "ray", "openai"} & set(lucene("modules"))
    assert lucene.noise() == ""
