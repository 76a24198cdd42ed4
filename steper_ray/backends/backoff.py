"""How long to wait before a request is sent again."""

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

FIRST_S = 1.0
LONGEST_S = 60.0


def backoff_s(attempt: int, headers: Mapping[str, str], now: float | None = None) -> float:
    """Seconds to wait after a failed attempt.

    Args:
        attempt: its number, from 0; the wait doubles with each, up to a minute, and half of it is drawn by chance, so
            that many clients do not return at once.
        headers: of the reply, in lower case; a `retry-after` (seconds or date) is the least that is waited.
        now: seconds since 1970, for a date.
    """
    full = min(LONGEST_S, FIRST_S * 2.0**attempt)
    asked = retry_after_s(headers, time.time() if now is None else now)
    if asked is None:
        return full * random.uniform(0.5, 1.0)
    return asked + FIRST_S * random.uniform(0.0, 0.5)


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """What the service asks for (RFC 9110, 10.2.3), in seconds and never negative; None when it says nothing usable."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except ValueError:
        return None
