"""One answer of a remote service."""

import json
from dataclasses import dataclass
from typing import Any

SHOWN_CHARACTERS = 300
FATAL_IN_A_ROW = 8
"""Fatal replies, without a good one between them, that end a run."""
REFUSALS = (400, 413, 422)
"""Statuses about one request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service answered, the key struck out."""

    status: int
    text: str
    seconds: float = 0.0
    """Wall time of the call, waits for its turn and between attempts included."""

    def json(self) -> Any:
        """The parsed text; None when it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    def shown(self) -> str:
        """Status and text for a message, shortened."""
        text = " ".join(self.text.split())
        return f"{self.status}: {text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + ' …'}"

    @property
    def out_of_quota(self) -> bool:
        """A 429 that no waiting mends: the account is empty."""
        return self.status == 429 and "insufficient_quota" in self.text

    @property
    def worth_another_try(self) -> bool:
        """Whether the same request may succeed later."""
        return (self.status in (408, 429) or self.status >= 500) and not self.out_of_quota

    @property
    def fatal(self) -> bool:
        """Whether the reply is about key, address or account, so that every other request would get it too."""
        return self.status != 200 and self.status not in REFUSALS
