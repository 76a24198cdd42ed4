"""White space: every text that enters a prompt or a rationale is one line."""


def squeeze(text: str) -> str:
    """The text with each run of white space (line breaks too) replaced by one space, and none at its ends."""
    return " ".join(text.split())
