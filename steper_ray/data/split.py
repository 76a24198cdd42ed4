"""Cutting a document's text into overlapping passages: pure, and nothing of the text is lost."""

import re
from dataclasses import dataclass

from steper_ray.core.text import squeeze
from steper_ray.core.words import word_spans
from steper_ray.errors import ConfigError

# Not after an initial ("J. Smith") and not before a small letter ("approx. ten"); 。 needs no space after it.
_SENTENCE_END = re.compile(r"""(?<!\b\w)[.!?…؟۔।]["'”’»)\]]*(?=\s+[^\sa-zß-ÿ])|[。！？｡]["'”’」』）]*""")


@dataclass(frozen=True, slots=True)
class Cut:
    """How long passages are and how much neighbours share, in words (see `core.words`)."""

    words: int = 100
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.words < 1:
            raise ConfigError(f"--words must be at least 1, found {self.words}")
        if not 0 <= self.overlap <= self.words // 2:
            raise ConfigError(f"--overlap must be from 0 to half of --words ({self.words // 2}), found {self.overlap}")


def split_text(text: str, cut: Cut) -> list[str]:
    """Passages of at most `cut.words` words, in order; each but the first repeats the last `cut.overlap` words.

    A passage ends at its last sentence end when that leaves it more than half full, else between two words. A text of
    at most `cut.words` words is one passage, an empty one none.
    """
    text = squeeze(text)
    words = word_spans(text)
    ends = _sentence_ends(text, words) if len(words) > cut.words else []
    passages, start = [], 0
    while words:
        stop = _stop(start, len(words), ends, cut)
        passages.append(text[words[start][0] : words[stop - 1][1]])
        if stop == len(words):
            break
        start = stop - cut.overlap
    return passages


def _stop(start: int, count: int, ends: list[bool], cut: Cut) -> int:
    """The word before which the passage that begins with word `start` stops."""
    full = start + cut.words
    if full >= count:
        return count
    # Above half of the words, and so above the overlap: every passage brings new words.
    return next((stop for stop in range(full, start + cut.words // 2, -1) if ends[stop - 1]), full)


def _sentence_ends(text: str, words: list[tuple[int, int]]) -> list[bool]:
    """For each word, whether a sentence ends with it."""
    stops = {found.end() for found in _SENTENCE_END.finditer(text)}
    return [end in stops for _, end in words]
