"""The corpus reader."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.core.types import Passage
from steper_ray.data import corpus
from steper_ray.data.corpus import read_corpus
from steper_ray.errors import InputError


def _write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _fault(path: Path, *rows: Any) -> str:
    with pytest.raises(InputError) as caught:
        list(read_corpus(_write(path, *rows) if rows else path))
    return str(caught.value).removeprefix(f"{path}, ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corpus.jsonl"


def test_both_spellings_of_the_fields_are_read_and_white_space_is_squeezed(path: Path) -> None:
    _write(path, {"_id": "a", "title": " A\n b ", "text": "x\t y\u00a0z\n"}, {"id": 7, "contents": "w"})
    assert list(read_corpus(path)) == [Passage("a", "A b", "x y z"), Passage("7", "", "w")]


def test_gzip_and_parquet_give_the_same_passages(tmp_path: Path, path: Path) -> None:
    rows = [{"_id": str(number), "title": "t", "text": f"text {number}"} for number in range(3)]
    expected = list(read_corpus(_write(path, *rows)))
    packed, table = tmp_path / "c.jsonl.gz", tmp_path / "c.parquet"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    pq.write_table(pa.Table.from_pylist(rows), table)
    assert list(read_corpus(packed)) == list(read_corpus(table)) == expected


def test_passages_come_before_the_file_is_read_to_its_end(path: Path) -> None:
    path.write_text('{"_id": "a", "text": "x"}\nbroken\n')
    passages = read_corpus(path)
    assert next(passages).id == "a"
    with pytest.raises(InputError, match="line 2: broken JSON"):
        next(passages)


def test_a_duplicate_names_both_lines(path: Path) -> None:
    rows = [{"_id": "a", "text": "x"}, {"_id": "b", "text": "y"}, {"_id": "a", "text": "z"}]
    assert _fault(path, *rows) == ("line 3, field 'id': duplicate id, first in line 1; found 'a'. Ids must be unique")


def test_a_number_and_the_same_number_as_text_are_one_id(path: Path) -> None:
    assert "duplicate id" in _fault(path, {"id": 1, "text": "x"}, {"id": "1", "text": "y"})


def test_ids_that_only_share_a_hash_are_no_duplicates(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "hash", lambda id: 0, raising=False)
    _write(path, {"_id": "a", "text": "x"}, {"_id": "b", "text": "y"})
    assert [passage.id for passage in read_corpus(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"_id": "a"}, "line 1: 'text' or 'contents' is missing; found ['_id']. Every passage needs a text"),
        ({"_id": "a", "text": " \n"}, "line 1, field 'text': is empty; found ' \\n'. Every passage needs a text"),
        ({"_id": "a", "text": 5}, "line 1, field 'text': must be text; found 5"),
        ({"_id": "a", "text": "x", "title": ["t"]}, "line 1, field 'title': must be text; found ['t']"),
        ({"text": "x"}, "line 1: '_id' or 'id' is missing; found ['text']. Give every row an id of its own"),
        ({"_id": "", "text": "x"}, "line 1, field '_id': is empty; found ''"),
        ({"_id": 1.5, "text": "x"}, "line 1, field '_id': must be text; found 1.5"),
        ({"_id": True, "text": "x"}, "line 1, field '_id': must be text; found True"),
        ({"_id": "a\nb", "text": "x"}, "line 1, field '_id': holds line breaks or superfluous spaces; found 'a\\nb'"),
        ({"_id": "a" * 513, "text": "x"}, "line 1, field 'id': is longer than 512 bytes"),
        ({"_id": "a", "text": "x\ud800"}, "line 1, field 'text': holds half of a surrogate pair"),
    ],
)
def test_a_faulty_passage_is_refused(path: Path, row: dict[str, Any], message: str) -> None:
    assert _fault(path, row).startswith(message)


def test_a_passage_that_is_too_long_is_refused_with_its_length_and_the_remedy(path: Path) -> None:
    _write(path, {"_id": "a", "text": "one two three"}, {"_id": "b", "contents": "one two three four"})
    assert len(list(read_corpus(path, 4))) == 2
    with pytest.raises(InputError) as caught:
        list(read_corpus(path, 3))
    assert str(caught.value) == (
        f"{path}, line 2, field 'contents': passage 'b' has 4 words, more than index.passage_words=3. Cut "
        "documents into passages with `steper corpus split IN OUT`, or raise index.passage_words"
    )


def test_two_characters_of_a_script_without_spaces_are_a_word(path: Path) -> None:
    _write(path, {"_id": "a", "text": "一二三四五六七"})
    assert len(list(read_corpus(path, 4))) == 1
    with pytest.raises(InputError, match="passage 'a' has 4 words"):
        list(read_corpus(path, 3))


def test_an_empty_title_is_no_fault(path: Path) -> None:
    rows = [{"_id": "a", "title": " ", "text": "x"}, {"_id": "b", "title": None, "text": "y"}]
    assert [passage.title for passage in read_corpus(_write(path, *rows))] == ["", ""]


def test_an_empty_corpus_is_refused(path: Path) -> None:
    path.write_text("\n")
    assert "holds no passage" in _fault(path)


def test_a_row_of_a_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["x", ""]}), path)
    assert _fault(path).startswith("row 2, field 'text': is empty")
