"""How many questions one engine works on at once: a limit that may change while it is in use."""

import asyncio
from collections import deque
from types import TracebackType


class Slots:
    """A semaphore with a movable size; use as an asynchronous context manager on one event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def size(self) -> int:
        """Most holders at once."""
        return self._size

    @property
    def taken(self) -> int:
        """Holders now."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether somebody waits for a slot."""
        return bool(self._waiting)

    def resize(self, size: int) -> None:
        """Change the size, at least 1; holders above a smaller one keep their slot until they leave."""
        self._size = max(1, size)
        self._admit()

    async def __aenter__(self) -> None:
        if self._taken < self._size and not self._waiting:
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._taken -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._taken < self._size:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
