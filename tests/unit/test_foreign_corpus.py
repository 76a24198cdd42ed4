"""A corpus that does not hold what is asked for is told before the run, with counts."""

import json
from pathlib import Path
from typing import Any

import pytest

from steper_ray.backends.index_names import (
    NAMES_FILE,
    Known,
    NameBook,
    NameKind,
    name_hash,
    names_of,
    read_names,
    write_names,
)
from steper_ray.backends.index_source import IndexSource
from steper_ray.config import load_config
from steper_ray.core.identity import content_id
from steper_ray.core.types import Passage, Question
from steper_ray.data.foreign_corpus import GoldThere, foreign_corpus_warning, gold_by_kind, there_by_name
from steper_ray.drive.gold_there import gold_warning, service_warning

ASKED = [Question("q", "Who?", gold_titles=("Roy Clark", "Hee Haw"))]


def passages(*titles: str) -> list[Passage]:
    return [Passage(f"p{n}", title, "Text.") for n, title in enumerate(titles)]


def corpus(folder: Path, *titles: str) -> Path:
    path = folder / "corpus.jsonl"
    rows = [{"_id": one.id, "title": one.title, "text": one.text} for one in passages(*titles)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def named(*found: Passage, most: int = 100) -> dict[NameKind, Known]:
    book = NameBook(most)
    assert list(book.watch(found)) == list(found)
    return book.names()


# A corpus as a file


def test_a_corpus_without_any_gold_title_is_warned_of(tmp_path: Path) -> None:
    warning = foreign_corpus_warning(corpus(tmp_path, "roy_clark", "hee_haw"), ASKED)
    assert warning is not None
    assert warning.startswith("none of the questions' 2 gold passages is in ")
    assert "'Hee Haw' is not: recall will be 0" in warning


def test_some_gold_titles_are_counted(tmp_path: Path) -> None:
    asked = [Question("q", "Who?", gold_titles=tuple("abcdefghij"))]
    warning = foreign_corpus_warning(corpus(tmp_path, "a", "b", "c", "x"), asked)
    assert warning is not None
    assert warning.startswith("3 of the questions' 10 gold passages are in ")
    assert "'d' is not: recall can hardly be above 30.0%" in warning
    assert foreign_corpus_warning(corpus(tmp_path, *"abcdefghi"), asked) is None


def test_a_corpus_that_holds_all_is_read_no_further(tmp_path: Path) -> None:
    path = corpus(tmp_path, "Roy  Clark", "Hee Haw")
    path.write_text(path.read_text() + "not JSON\n")
    assert foreign_corpus_warning(path, ASKED) is None


def test_a_title_that_is_a_passages_id_is_not_found_by_that(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps({"_id": 1999, "title": "Prince", "text": "Text."}) + "\n")
    assert foreign_corpus_warning(path, [Question("q", "Which?", gold_titles=("1999",))]) is not None
    # As an id it is; so is a content, whatever the corpus calls it.
    assert foreign_corpus_warning(path, [Question("q", "Which?", gold_ids=("1999",))]) is None
    assert foreign_corpus_warning(path, [Question("q", "Which?", gold_ids=(content_id("Prince", "Text."),))]) is None


def test_what_cannot_be_judged_is_not_warned_of(tmp_path: Path) -> None:
    assert foreign_corpus_warning(None, ASKED) is None
    assert foreign_corpus_warning(tmp_path / "gone.jsonl", ASKED) is None
    assert foreign_corpus_warning(corpus(tmp_path, "Other"), [Question("q", "Who?")]) is None
    (tmp_path / "corpus.jsonl").write_text("not JSON\n")
    assert foreign_corpus_warning(tmp_path / "corpus.jsonl", ASKED) is None


# An index by the names of its passages


def test_the_names_of_an_index_are_looked_at_instead_of_its_corpus(tmp_path: Path) -> None:
    names = named(*passages("Roy  Clark", "Hee Haw"))
    assert foreign_corpus_warning(corpus(tmp_path, "x"), ASKED, names) is None
    warning = foreign_corpus_warning(tmp_path, ASKED, named(*passages("x")), "the index in here")
    assert warning is not None
    assert "is in the index in here" in warning


def test_names_are_of_three_kinds() -> None:
    names = named(Passage("1999", "Prince", "Text."))
    assert names[NameKind.ID].holds("1999")
    assert not names[NameKind.TITLE].holds("1999")
    assert names[NameKind.TITLE].holds("Prince")
    assert names[NameKind.CONTENT].holds(content_id("Prince", "Text."))


def test_an_empty_title_is_no_name() -> None:
    assert named(Passage("a", "", "Text."))[NameKind.TITLE].hashes == frozenset()


def test_of_a_large_corpus_a_share_of_the_names_is_kept_and_judged_exactly() -> None:
    titles = [f"Title {number}" for number in range(2000)]
    known = named(*passages(*titles), most=100)[NameKind.TITLE]
    # 2,000 halved until at most 100 are left: five times, if the hashes are even.
    assert known.bits in (4, 5, 6)
    assert 0 < len(known.hashes) <= 100
    assert [title for title in titles if known.judges(title)] == [title for title in titles if known.holds(title)]
    assert all(name_hash(title) % 2**known.bits == 0 for title in titles if known.judges(title))


def test_counts_of_a_share_say_how_many_were_looked_for() -> None:
    gold = gold_by_kind([Question("q", "Who?", gold_titles=tuple(f"Gold {number}" for number in range(900)))])
    names = named(*passages(*(f"Title {number}" for number in range(2000))), most=100)
    there = there_by_name(gold, names)
    assert there.gold == 900
    assert 10 <= there.looked_for < 100
    assert there.found == 0
    told = there.warning("here")
    assert told is not None
    assert told.startswith(f"none of {there.looked_for} looked for among the questions' 900 gold passages is in here")


def test_a_handful_of_names_of_a_share_tells_nothing() -> None:
    names = named(*passages(*(f"Title {number}" for number in range(2000))), most=100)
    gold = gold_by_kind([Question("q", "Who?", gold_titles=tuple(f"Gold {number}" for number in range(20)))])
    assert there_by_name(gold, names) == GoldThere(20, 0, 0, "")
    assert GoldThere(20, 0, 0, "").warning("here") is None


def test_names_are_the_same_when_read_again_and_broken_files_say_nothing(tmp_path: Path) -> None:
    names = named(*passages("Roy Clark", "Hee Haw"))
    write_names(tmp_path, names)
    assert read_names(tmp_path) == names
    assert names_of((tmp_path / NAMES_FILE).read_bytes()) == names
    for content in (b"", b"PK\x03\x04", b"\x93NUMPY"):
        (tmp_path / NAMES_FILE).write_bytes(content)
        assert read_names(tmp_path) is None
    assert read_names(tmp_path / "none") is None


# As a phase asks


def test_the_index_of_a_run_is_asked_and_a_published_one_too(tmp_path: Path) -> None:
    config = load_config(None, [f"run.folder={tmp_path}"])
    assert gold_warning(config, ASKED) is None
    (tmp_path / "index").mkdir()
    write_names(tmp_path / "index", named(*passages("x")))
    told = gold_warning(config, ASKED)
    assert told is not None
    assert f"in the index in {tmp_path / 'index'}" in told
    uri = f"file://{tmp_path / 'index'}"
    told = gold_warning(load_config(None, [f"run.folder={tmp_path / 'other'}", f"index.uri={uri}"]), ASKED)
    assert told is not None
    assert f"in the index in {uri}" in told
    assert IndexSource(f"file://{tmp_path / 'none'}", tmp_path).names() is None


@pytest.mark.parametrize(
    ("found", "warned"),
    [
        ([[Passage("1", "Roy  Clark", "x")], []], False),
        ([[Passage("1", "Hee Haw", "x")], [Passage("1", "Roy Clark", "x")]], True),
        ([[], []], True),
    ],
)
def test_a_service_that_finds_no_title_by_itself_is_warned_of(found: list[Any], warned: bool) -> None:
    told = service_warning(["Roy Clark", "Hee Haw"], found, "http://here")
    assert (told is not None) == warned
    if told:
        assert told.startswith("http://here was asked for 2 gold titles of the questions, such as 'Roy Clark', and")


def test_without_titles_a_service_is_not_asked() -> None:
    config = load_config(None, ["retriever.backend=http", "retriever.url=http://127.0.0.1:9/search"])
    assert gold_warning(config, [Question("q", "Who?", gold_ids=("a",))]) is None
