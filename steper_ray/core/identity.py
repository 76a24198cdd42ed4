"""A passage's name by its content: the same wherever the passage comes from, whatever its corpus calls it."""

import hashlib

from steper_ray.core.text import squeeze


def content_id(title: str, text: str) -> str:
    """80 bits of SHA-256 over title and text, white space squeezed, as 20 hexadecimal digits."""
    return hashlib.sha256(f"{squeeze(title)}\n{squeeze(text)}".encode()).hexdigest()[:20]
