"""Where the engine's thread puts what it has computed: a future for one output, a queue for many."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vllm import RequestOutput


class Sink(Protocol):
    """Takes the outputs of one request; called by the engine's thread."""

    def open(self) -> bool:
        """Whether anybody still waits; from here on outputs are taken."""

    def put(self, output: "RequestOutput") -> None:
        """Take an output."""

    def fail(self, error: Exception) -> None:
        """Take the error that ends the request."""


class FutureSink:
    """One output."""

    def __init__(self) -> None:
        self.future: Future[RequestOutput] = Future()

    def open(self) -> bool:
        """See `Sink`; then the future cannot be cancelled behind our back, so that setting its result never fails."""
        return self.future.set_running_or_notify_cancel()

    def put(self, output: "RequestOutput") -> None:
        """See `Sink`."""
        self.future.set_result(output)

    def fail(self, error: Exception) -> None:
        """See `Sink`."""
        self.future.set_exception(error)


class QueueSink:
    """Outputs in order, read on the event loop that made it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[RequestOutput | Exception] = asyncio.Queue()

    def open(self) -> bool:
        """See `Sink`."""
        return True

    def put(self, output: "RequestOutput") -> None:
        """See `Sink`."""
        self._loop.call_soon_threadsafe(self._queue.put_nowait, output)

    def fail(self, error: Exception) -> None:
        """See `Sink`."""
        self._loop.call_soon_threadsafe(self._queue.put_nowait, error)

    async def outputs(self) -> "AsyncIterator[RequestOutput]":
        """The outputs as they come, up to the one that is finished; raises the error that ended the request."""
        while True:
            output = await self._queue.get()
            if isinstance(output, Exception):
                raise output
            yield output
            if output.finished:
                return
