"""LoRA's settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Adapter:
    """Low-rank adapters (LoRA) instead of all weights; their product counts with `alpha / rank`."""

    rank: int
    alpha: float
    targets: str = "all-linear"
    """A regular expression over module names, or `all-linear`: all but the output head."""
