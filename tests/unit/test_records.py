"""Rows of input files: every fault names the file, the line, what was found and the remedy."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steper_ray.data.records import read_records
from steper_ray.errors import InputError


def _fault(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(read_records(path))
    return str(caught.value)


def test_lines_entries_and_rows_know_their_numbers(tmp_path: Path) -> None:
    rows = [{"id": "a"}, {"id": "b"}]
    lines, entries, table = tmp_path / "x.jsonl", tmp_path / "x.json", tmp_path / "x.parquet"
    lines.write_text("\n".join(json.dumps(row) for row in rows))
    entries.write_text(json.dumps(rows, indent=1))
    pq.write_table(pa.Table.from_pylist(rows), table)
    assert [record.place for record in read_records(lines)] == ["line 1", "line 2"]
    assert [record.place for record in read_records(entries)] == ["entry 1", "entry 2"]
    assert [record.place for record in read_records(table)] == ["row 1", "row 2"]
    assert [record.values for record in read_records(table)] == rows


def test_blank_lines_are_skipped_but_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "a"}\n\n  \n{"id": "b"}\n')
    assert [(record.values["id"], record.number) for record in read_records(path)] == [("a", 1), ("b", 4)]


def test_gzip_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'\xef\xbb\xbf{"id": "a"}\n'))
    assert [record.values for record in read_records(path)] == [{"id": "a"}]


def test_a_row_group_at_a_time_is_read_from_parquet(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": [str(number) for number in range(2500)]}), path, row_group_size=100)
    assert [record.number for record in read_records(path)] == list(range(1, 2501))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert _fault(tmp_path / "none.jsonl") == f"{tmp_path / 'none.jsonl'}: does not exist"
    assert _fault(tmp_path) == f"{tmp_path}: is not a file"


def test_broken_json_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "a"}\n{"id": }\n')
    message = "line 2: broken JSON at column 8: Expecting value; found '{\"id\": }'. One object per line"
    assert _fault(path) == f"{path}, {message}"


def test_a_broken_list_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('[\n{"id": "a"},\n{"id": "b"\n')
    assert _fault(path).startswith(f"{path}, line 4: broken JSON at column 1")


def test_a_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "a"}\n"b"\n')
    assert _fault(path) == f"{path}, line 2: must be a JSON object; found 'b'. One object per line"
    path.write_text('[{"id": "a"}, 3]')
    assert _fault(path) == f"{path}, entry 2: must be a JSON object; found 3"


def test_bytes_that_are_not_utf8_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id": "a"}\n{"id": "Z\xfcrich"}\n')
    assert _fault(path) == f"{path}, line 2: is not UTF-8; found b'\\xfc'"
    path.write_bytes(b'[{"id": "a"},\n{"id": "Z\xfcrich"}]')
    assert _fault(path) == f"{path}, line 2: is not UTF-8; found b'\\xfc'"


def test_damaged_archives_and_tables_are_refused(tmp_path: Path) -> None:
    cut, plain, table = tmp_path / "cut.jsonl.gz", tmp_path / "plain.jsonl.gz", tmp_path / "x.parquet"
    cut.write_bytes(gzip.compress(b'{"id": "a"}\n' * 1000)[:-20])
    plain.write_text('{"id": "a"}')
    table.write_text("no table")
    assert "cannot be read" in _fault(cut)
    assert "line 1: cannot be read: Not a gzipped file" in _fault(plain)
    assert "cannot be read as Parquet" in _fault(table)


def test_json_nested_too_deep_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": ' + "[" * 200_000 + "\n")
    assert "line 1: JSON nested too deep" in _fault(path)
