"""`steper corpus split`: documents in, passages out, whole or not at all."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.core.types import Passage
from steper_ray.corpus.split import SplitCounts, split_corpus
from steper_ray.data.corpus import read_corpus
from steper_ray.data.split import Cut
from steper_ray.errors import InputError, RunFolderError

LONG = {"id": "d1", "title": "Letters", "text": "a b c d e"}
SHORT = {"id": "d2", "contents": "x y"}
PASSAGES = [
    Passage("d1#1", "Letters", "a b"),
    Passage("d1#2", "Letters", "c d"),
    Passage("d1#3", "Letters", "e"),
    Passage("d2#1", "", "x y"),
]


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def split(source: Path, target: Path, **options: Any) -> list[Passage]:
    split_corpus(source, target, Cut(words=2), **options)
    return list(read_corpus(target))


def test_documents_become_numbered_passages_and_the_counts_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out" / "corpus.jsonl"
    counts = split_corpus(write(tmp_path / "d.jsonl", LONG, SHORT), target, Cut(words=2))
    assert counts == SplitCounts(documents=2, split=1, passages=4)
    assert list(read_corpus(target)) == PASSAGES
    assert capsys.readouterr().out.startswith("2 documents, 1 of them split: 4 passages of at most 2 words in ")
    assert [path.name for path in target.parent.iterdir()] == ["corpus.jsonl"]


def test_every_format_in_and_out_gives_the_same_passages(tmp_path: Path) -> None:
    rows = [LONG, SHORT]
    lines = write(tmp_path / "d.jsonl", *rows)
    listed, packed, table = tmp_path / "d.json", tmp_path / "d.jsonl.gz", tmp_path / "d.parquet"
    listed.write_text(json.dumps(rows))
    packed.write_bytes(gzip.compress(lines.read_bytes()))
    pq.write_table(
        pa.Table.from_pylist(rows, pa.schema([(n, pa.string()) for n in ("id", "title", "text", "contents")])), table
    )
    for source in (lines, listed, packed, table):
        for name in ("c.jsonl", "c.jsonl.gz", "c.parquet"):
            assert split(source, tmp_path / name, overwrite=True) == PASSAGES


def test_a_document_gives_the_same_passages_whatever_else_is_in_the_file(tmp_path: Path) -> None:
    alone = split(write(tmp_path / "a.jsonl", LONG), tmp_path / "a.out.jsonl")
    among = split(write(tmp_path / "b.jsonl", SHORT, {"id": "d0", "text": "q r s"}, LONG), tmp_path / "b.out.jsonl")
    assert [passage for passage in among if passage.id.startswith("d1#")] == alone


def test_ids_that_look_like_passages_stay_apart(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "x y z"}, {"id": "a#1", "text": "x y z"}]
    assert [p.id for p in split(write(tmp_path / "d.jsonl", *rows), tmp_path / "c.jsonl")] == [
        "a#1", "a#2", "a#1#1", "a#1#2"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([LONG, {"id": "d3", "text": " "}], r"d\.jsonl, line 2, field 'text': is empty"),
        ([LONG, LONG], r"d\.jsonl, line 2, field 'id': duplicate id, first in line 1"),
        ([], r"d\.jsonl: holds no passage"),
        ([{"id": "i" * 511, "text": "x"}], r"d\.jsonl: .*with '#1' it is longer than 512 bytes"),
    ],
)
def test_a_faulty_document_leaves_nothing_behind(tmp_path: Path, rows: list[Any], message: str) -> None:
    source = write(tmp_path / "d.jsonl", *rows)
    for name in ("c.jsonl", "c.jsonl.gz", "c.parquet"):
        with pytest.raises(InputError, match=message):
            split(source, tmp_path / name)
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_that_exists_is_kept_unless_it_shall_be_replaced(tmp_path: Path) -> None:
    source, target = write(tmp_path / "d.jsonl", SHORT), write(tmp_path / "c.jsonl", {"id": "old", "text": "old"})
    with pytest.raises(RunFolderError, match=r"c\.jsonl exists already; .*--overwrite"):
        split(source, target)
    assert next(read_corpus(target)).id == "old"
    with pytest.raises(InputError):
        split(write(tmp_path / "bad.jsonl", {"id": "x"}), target, overwrite=True)
    assert next(read_corpus(target)).id == "old"
    assert [passage.id for passage in split(source, target, overwrite=True)] == ["d2#1"]


def test_a_corpus_may_replace_its_own_documents(tmp_path: Path) -> None:
    source = write(tmp_path / "d.jsonl", LONG, SHORT)
    assert split(source, source, overwrite=True) == PASSAGES


@pytest.mark.parametrize("name", ["c.txt", "c", "c.json"])
def test_a_name_without_a_known_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match=r"says no format; end its name with \.jsonl, \.jsonl\.gz or \.parquet"):
        split(write(tmp_path / "d.jsonl", SHORT), tmp_path / name)


def test_memory_does_not_grow_with_the_documents(tmp_path: Path) -> None:
    source, text = tmp_path / "d.jsonl", ("w" * 49 + " ") * 200
    with source.open("w") as file:
        file.writelines(json.dumps({"id": str(number), "text": text}) + "\n" for number in range(400))
    assert source.stat().st_size > 4_000_000
    split_corpus(write(tmp_path / "w.jsonl", SHORT), tmp_path / "c.jsonl", Cut())
    tracemalloc.start()
    try:
        split_corpus(source, tmp_path / "c.jsonl", Cut(), overwrite=True)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 2_000_000
