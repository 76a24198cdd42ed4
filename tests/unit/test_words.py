"""Lengths in words."""

import pytest

from steper_ray.core.words import longer_than, word_spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Roy Clark hosted it.", ["Roy", "Clark", "hosted", "it."]),
        ("서울에서 태어났다", ["서울에서", "태어났다"]),
        ("北京大学的", ["北京", "大学", "的"]),
        ("東京Tower 東", ["東京", "Tower", "東"]),
        ("が\u3099き\u3099く", ["が\u3099", "き\u3099", "く"]),
        ("a" * 61, ["a" * 60, "a"]),
    ],
)
def test_a_word_is_what_stands_between_spaces_or_two_characters_of_a_script_without(
    text: str, words: list[str]
) -> None:
    assert [text[start:end] for start, end in word_spans(text)] == words


def test_the_length_is_told_only_when_it_is_too_much() -> None:
    assert longer_than("one two three", 3) is None
    assert longer_than("one two three", 2) == 3
    assert longer_than("一二三四五", 2) == 3
