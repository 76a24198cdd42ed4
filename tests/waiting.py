"""Waits for what another process brings about."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 300.0
Value = TypeVar("Value")


def wait_until(seen: Callable[[], Value], every_s: float = 0.02) -> Value:
    """The first value that counts as true."""
    patience = time.monotonic() + PATIENCE_S
    while not (value := seen()):
        assert time.monotonic() < patience, "waited in vain"
        time.sleep(every_s)
    return value
