"""Lengths in words, for any script: the measure of `steper corpus split` and of `index.passage_words`."""

import re

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff\uff66-\uff9f"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # ideographs
)
_MARKS = "\u0300-\u036f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u3099\u309a\u200d\ufe00-\ufe0f"
_LONGEST = 60
"""Characters of the longest word; a longer run without a space counts as several."""
_WORD = re.compile(rf"[{_UNSPACED}]{{1,2}}[{_MARKS}]*|[^\s{_UNSPACED}]{{1,{_LONGEST}}}[{_MARKS}]*")


def word_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each word: what stands between spaces or, in a script without them, two characters."""
    return [found.span() for found in _WORD.finditer(text)]


def longer_than(text: str, words: int) -> int | None:
    """The number of words of a text that has more than `words`, else None; short texts cost nothing."""
    if len(text) <= words:
        return None
    count = len(word_spans(text))
    return count if count > words else None
