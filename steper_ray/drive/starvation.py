"""When engines wait for work although there is some, and what would help."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from steper_ray.drive.load import Load

LATELY_S = 600.0
_STARVED = 0.5
_UNFED = 0.5
_SURE_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Waits:
    """What steps waited for, summed since the start of a run."""

    steps: int = 0
    engine_s: float = 0.0
    search_s: float = 0.0
    quicker_search: str = "more retrievers"
    """What helps where they wait for passages."""

    def since(self, earlier: "Waits") -> "Waits":
        """What has come to it since."""
        return replace(
            self,
            steps=self.steps - earlier.steps,
            engine_s=self.engine_s - earlier.engine_s,
            search_s=self.search_s - earlier.search_s,
        )


def use_of(loads: Collection[Load]) -> float | None:
    """Mean share of the engines' capacity in use while there was work; None where that was too short to say."""
    seconds = sum(load.seconds for load in loads)
    if seconds < _SURE_AFTER_S:
        return None
    return sum(load.seconds * load.requests / load.capacity for load in loads) / seconds


def warning_of(loads: Collection[Load], waits: Waits) -> str:
    """A warning when the engines waited for work although there was some, else nothing."""
    use = use_of(loads)
    if use is None or use >= _STARVED:
        return ""
    seconds = sum(load.seconds for load in loads)
    unfed = sum(load.unfed_s for load in loads) / seconds
    starve = f"the engines starve: {use:.0%} of their capacity in use while questions wait"
    if unfed > _UNFED:
        return f"{starve}; {unfed:.0%} of the time these waited at the driver. Try more CPU for it and for Ray's head"
    steps = max(waits.steps, 1)
    remedy = waits.quicker_search if waits.search_s > waits.engine_s else "a higher in_flight"
    told = f"steps waited {waits.search_s / steps:.2f} s for passages, {waits.engine_s / steps:.2f} s for text"
    return f"{starve}; {told}. Try {remedy}"


@dataclass
class Lately:
    """The loads of the last ten minutes: what went well for a day says nothing about now."""

    loads: deque[tuple[float, Load, Waits]] = field(default_factory=deque)
    """When each came in, and the waits until the one before."""
    waits: Waits = field(default_factory=Waits)

    def add(self, now: float, load: Load, waits: Waits) -> None:
        """A load has come in."""
        self.loads.append((now, load, self.waits))
        self.waits = waits
        self._forget(now)

    def warning(self, now: float, waits: Waits) -> str:
        """As `warning_of`, about the last ten minutes."""
        self._forget(now)
        earlier = self.loads[0][2] if self.loads else waits
        return warning_of([load for _, load, _ in self.loads], waits.since(earlier))

    def _forget(self, now: float) -> None:
        while self.loads and self.loads[0][0] < now - LATELY_S:
            self.loads.popleft()
