"""A passage's name by its content: the same wherever the passage comes from, whatever its corpus calls it."""

import hashlib

from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage


def content_id(title: str, text: str) -> str:
    """80 bits of SHA-256 over title and text, white space squeezed, as 20 hexadecimal digits."""
    return hashlib.sha256(f"{squeeze(title)}\n{squeeze(text)}".encode()).hexdigest()[:20]


def corpus_line(passage: Passage) -> bytes:
    """What a passage adds to the digest of its corpus: id, title and text, white space squeezed."""
    return f"{passage.id}\n{squeeze(passage.title)}\n{squeeze(passage.text)}\n".encode()
