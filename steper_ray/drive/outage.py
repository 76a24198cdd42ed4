"""What becomes of questions while a service behind the loop answers none: they wait, and one at a time probes.

Not covered: an outage of the last few questions of a run, which looks like questions that are at fault themselves.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError, EnvironmentFault

logger = logging.getLogger(__name__)

IN_A_ROW = 8
"""Questions that failed with none finished between them, to be taken for an outage."""
FIRST_PAUSE_S = 15.0
"""Before the first probe; at most a tenth of the patience, and twice as long before each further one."""
LONGEST_PAUSE_S = 300.0
UNPROVEN_S = 600.0
"""The most patience before any question got through: then settings are to blame as likely."""
_LOOK_S = 1.0
_KINDS = (FailureKind.ENDPOINT, FailureKind.RETRIEVER)

Result = TypeVar("Result")


class Outage:
    """Shared by the questions of one event loop; the services' own further attempts lie below it."""

    def __init__(
        self,
        patience_s: float,
        *,
        timeouts: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Begin with nothing failed.

        Args:
            patience_s: longest time without any question that gets through, seconds.
            timeouts: whether waits in vain count as well: a service that is down may hold its callers.
            clock, sleep: of the event loop.
        """
        self._kinds = (*_KINDS, FailureKind.TIMEOUT) if timeouts else _KINDS
        self._patience_s, self._clock, self._sleep = patience_s, clock, sleep
        self._proven = False
        self._first_pause_s = min(FIRST_PAUSE_S, patience_s / 10)
        self._failed = 0
        """Questions in a row."""
        self._since = 0.0
        """When the first of them failed."""
        self._pause_s, self._next, self._probing = 0.0, 0.0, False

    @property
    def on(self) -> bool:
        """Whether an outage is presumed."""
        return self._failed >= IN_A_ROW

    async def outlast(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """What asking comes to; a question that fails in an outage is asked again, once another got through.

        Raises:
            BackendError: it failed outside of an outage, or by its own fault.
            EnvironmentFault: nobody got through for so long as the patience lasts.
        """
        while True:
            probe = await self._turn()
            try:
                result = await ask()
            except BackendError as error:
                if error.kind not in self._kinds:
                    raise
                self._count(error, probe)
                if not self.on:
                    raise
            else:
                self._failed, self._proven = 0, True
                return result
            finally:
                if probe:
                    self._probing = False

    async def _turn(self) -> bool:
        """Wait until this question may be asked; whether it probes."""
        while self.on:
            if not self._probing and self._clock() >= self._next:
                self._probing = True
                return True
            await self._sleep(min(_LOOK_S, self._first_pause_s))
        return False

    def _count(self, error: BackendError, probe: bool) -> None:
        now = self._clock()
        if self._failed == 0:
            self._since = now
        self._failed += 1
        if self._failed == IN_A_ROW:
            self._pause_s, self._next = self._first_pause_s, now + self._first_pause_s
            logger.warning("an outage: %d questions failed in a row, the last with: %s", self._failed, error)
        elif probe:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._next = now + self._pause_s
        patience_s = self._patience_s if self._proven else min(self._patience_s, UNPROVEN_S)
        if self.on and now - self._since >= patience_s:
            raise EnvironmentFault(
                f"no question got through for {now - self._since:.0f} s, {self._failed} failed in a row; the last: "
                f"{error}",
                "See to the service, or to the settings that name it",
            ) from None
