"""White space: every text that enters a prompt or a rationale is one line."""


def squeeze(text: str) -> str:
    """The text with each run of white space (line breaks too) replaced by one space, and none at its ends."""
    return " ".join(text.split())


def encodable(text: str) -> str:
    """The text with `?` for lone surrogates, which JSON may escape but neither Parquet nor Java takes."""
    return text.encode("utf-8", "replace").decode()


def printable(text: str) -> str:
    """The text as one line without control characters: what a passage says must not steer a terminal."""
    return "".join(character for character in squeeze(text) if character.isprintable())
