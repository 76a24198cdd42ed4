"""What a run of the loop says about the questions that it could not finish."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steper_ray.core.types import FailureKind


def failures_told(failed: Mapping[str, int]) -> str:
    """Failures by kind in words, such as `3 endpoint, 1 timeout`."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(failed.items())) or "none"


def nothing_finished(numbers: Mapping[str, Any], failures: Path) -> str:
    """Why a run without any trajectory ends; `numbers` as from `drive.collect.counts`."""
    return (
        f"no question could be finished; failed: {failures_told(numbers['failed'])}; the reasons stand in {failures}. "
        "Mend what they name and run the same command again"
    )


def incomplete(numbers: Mapping[str, Any]) -> str:
    """The last line of a run that left questions which another run may finish, else nothing."""
    told = left_over(numbers)
    return f"INCOMPLETE: {told}; the same command tries them again" if told else ""


def left_over(numbers: Mapping[str, Any]) -> str:
    """How many questions another run may finish, and why; nothing where there are none.

    Args:
        numbers: as from `drive.collect.counts`.
    """
    again = {kind: count for kind, count in numbers["failed"].items() if FailureKind(kind).transient}
    parts = [f"{sum(again.values()):,} failed for a transient reason ({failures_told(again)})"] if again else []
    parts += [f"{numbers['not_started']:,} not started"] if numbers["not_started"] else []
    return f"of {numbers['asked']:,}, {' and '.join(parts)}" if parts else ""
