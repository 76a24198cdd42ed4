"""What is worth a look in a phase's figures; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from steper_ray.core.types import FailureKind
from steper_ray.status.phase import Progress
from steper_ray.train.journal import updates_of

_FAILED_SHARE = 0.05
_SURE_AFTER = 20
_QUIET_S, _QUIET_TIMES = 600.0, 20
_WORSE = 1.2


def silence(progress: Progress, now: float) -> list[str]:
    """A phase that runs and has written nothing for long; what is long depends on its usual pace."""
    if progress.last_sign is None:
        return []
    quiet = now - progress.last_sign
    if quiet <= max(_QUIET_S, _QUIET_TIMES * (progress.usual_s or 0.0)):
        return []
    return [f"no {progress.unit.removesuffix('s')} for {quiet / 60:.0f} min"]


def failing(progress: Progress) -> list[str]:
    """A share of failures that is no longer by chance, with the most frequent kinds."""
    failed = sum(progress.failed.values())
    if progress.done < _SURE_AFTER or failed <= _FAILED_SHARE * progress.done:
        return []
    kinds = sorted(progress.failed, key=lambda kind: -progress.failed[kind])[:2]
    return [f"{failed / progress.done:.0%} of {progress.unit} failed: {', '.join(kinds)}"]


def worth_another_try(progress: Progress) -> list[str]:
    """Failures that the same command would try again."""
    known = set(FailureKind)
    count = sum(number for kind, number in progress.failed.items() if kind in known and FailureKind(kind).transient)
    return [f"{count:,} failed for a transient reason; the same command tries them again"] if count else []


def course(lines: Sequence[Mapping[str, Any]], workers: int | None) -> list[str]:
    """What a training's journal shows: losses that are no numbers, a rise on held-out samples, missing workers."""
    updates = updates_of(lines)
    found = []
    if updates and not -float("inf") < updates[-1]["total"] < float("inf"):
        found.append(f"the loss of update {updates[-1]['update']} is {updates[-1]['total']}")
    if updates and workers and (there := updates[-1].get("workers", workers)) < workers:
        found.append(f"works with {there} of {workers} workers")
    scored = [
        (line["held_out"]["selection"], line["update"]) for line in lines if "selection" in line.get("held_out", ())
    ]
    if scored and scored[-1][0] > _WORSE * min(scored)[0] > 0:
        (best, at), (last, update) = min(scored), scored[-1]
        found.append(f"held-out loss {last:.3f} after update {update}, it was {best:.3f} after update {at}")
    return found
