"""Splitting documents into passages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steper_ray.core.text import squeeze
from steper_ray.core.words import word_spans
from steper_ray.data.split import Cut, split_text
from steper_ray.errors import ConfigError


def words_of(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


def test_a_short_text_is_one_passage_with_its_white_space_squeezed() -> None:
    assert split_text(" One\n two. ", Cut(words=2)) == ["One two."]


def test_an_empty_text_has_no_passage() -> None:
    assert split_text(" \n", Cut()) == []


def test_a_passage_ends_with_a_sentence_where_that_leaves_it_more_than_half_full() -> None:
    text = "One two three. Four five six seven. Eight nine."
    assert split_text(text, Cut(words=5)) == ["One two three.", "Four five six seven.", "Eight nine."]


def test_a_passage_ends_between_two_words_where_the_sentence_is_too_long_or_its_end_too_early() -> None:
    assert split_text("a b c d e f g", Cut(words=3)) == ["a b c", "d e f", "g"]
    assert split_text("No. Then a very long one comes", Cut(words=4)) == ["No. Then a very", "long one comes"]


def test_neighbours_share_the_overlap() -> None:
    assert split_text("a b c d e f g h", Cut(words=4, overlap=2)) == ["a b c d", "c d e f", "e f g h"]


def test_initials_and_points_before_small_letters_end_no_sentence() -> None:
    text = "It was J. K. Rowling. She sold approx. ten."
    assert split_text(text, Cut(words=6)) == ["It was J. K. Rowling.", "She sold approx. ten."]


def test_text_without_spaces_is_cut_at_its_own_full_stops() -> None:
    assert split_text("北京是首都。上海是城市。", Cut(words=5)) == ["北京是首都。", "上海是城市。"]


def test_text_without_spaces_or_sentences_is_cut_every_two_characters_a_word() -> None:
    assert split_text("一二三四五六七", Cut(words=2)) == ["一二三四", "五六七"]


PARTS = st.sampled_from(
    ["a", "Bc", "J.", "end.", "So?", "“Q.”", "x" * 130, "北京大学。", "東京", "ไทยก็", "서울", "\n", "。", "é"]
)
TEXTS = st.lists(st.tuples(PARTS, st.sampled_from(["", " ", "\t\n"])), max_size=60).map(
    lambda pairs: "".join(part + gap for part, gap in pairs)
) | st.text(max_size=80)
CUTS = st.integers(1, 12).flatmap(lambda words: st.builds(Cut, st.just(words), st.integers(0, words // 2)))


@settings(deadline=None)
@given(TEXTS, CUTS)
def test_the_passages_cover_every_word_in_order_and_share_exactly_the_overlap(text: str, cut: Cut) -> None:
    whole = squeeze(text)
    spans = word_spans(whole)
    passages = split_text(text, cut)
    first = 0
    for number, passage in enumerate(passages):
        count = next(
            size
            for size in range(cut.words, 0, -1)
            if first + size <= len(spans) and whole[spans[first][0] : spans[first + size - 1][1]] == passage
        )
        last = first + count
        assert (last == len(spans)) == (number == len(passages) - 1)
        first = last - cut.overlap
    assert bool(passages) == bool(spans)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 12))
def test_passages_without_overlap_hold_every_character_once(text: str, words: int) -> None:
    joined = "".join(split_text(text, Cut(words)))
    assert "".join(joined.split()) == "".join(text.split())


@pytest.mark.parametrize(("words", "overlap"), [(0, 0), (10, -1), (10, 6)])
def test_lengths_that_make_no_progress_are_refused(words: int, overlap: int) -> None:
    with pytest.raises(ConfigError, match=r"--(words|overlap) must be"):
        Cut(words, overlap)
