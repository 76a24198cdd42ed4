"""Deployment handles that look like a `LanguageModel` and a `Retriever`, and outlive the replicas behind them."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from grpc import StatusCode
from grpc.aio import AioRpcError
from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.core.types import FailureKind, Passage
from steper_ray.errors import BackendError, SteperError

TRIES = 4
PAUSE_S = 0.2
"""Before the second try; doubles with each further one."""

GONE = (RayActorError, DeploymentUnavailableError)
"""The replica died in mid-call, or Serve gave up on starting one."""
_LOST = (StatusCode.CANCELLED, StatusCode.UNKNOWN)
"""How calls end, too, whose replica stops or breaks off in mid-call. Ray makes a `RayActorError` of UNAVAILABLE, and of
CANCELLED only until the replica has accepted the call."""


async def call(method: Any, *arguments: Any) -> Any:
    """Await one call of a handle's method; cancelled together with its caller.

    Raises:
        SteperError: what the replica raised.
        RayActorError, DeploymentUnavailableError: see `GONE`.
    """
    response = method.remote(*arguments)
    try:
        with _translated():
            return await response
    except asyncio.CancelledError:
        # Serve does not pass this on by itself, and the replica would go on working for nobody.
        response.cancel()
        raise


async def items(method: Any, *arguments: Any) -> AsyncGenerator[Any, None]:
    """The items of one call of a handle's method that streams; whoever closes this ends the replica's work.

    Raises as `call`, when it is asked for an item.
    """
    response = method.remote(*arguments)
    try:
        with _translated():
            async for item in response:
                yield item
    except (asyncio.CancelledError, GeneratorExit):
        response.cancel()
        raise


@contextmanager
def _translated() -> Iterator[None]:
    """Raises what a replica raised on purpose as it was, and a call that was lost as the death of its replica."""
    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, SteperError):
            raise error.cause from None
        raise
    except AioRpcError as error:
        if error.code() not in _LOST:
            raise
        raise ActorUnavailableError(f"gRPC ended the call with {error.code().name}", None) from error


async def call_again(method: Any, *arguments: Any, kind: FailureKind) -> Any:
    """Await a call that may be repeated: tried again when its replica dies or fails for a transient reason.

    Between tries Serve waits for a replica that is alive, so the caller's deadline bounds the whole.

    Raises:
        BackendError: of `kind` when no try succeeded, or what the replica raised for a permanent reason.
    """
    for number in range(TRIES):
        try:
            return await call(method, *arguments)
        except BackendError as error:
            if not FailureKind(error.kind).transient:
                raise
            last: Exception = error
        except GONE as error:
            last = error
        if number + 1 < TRIES:
            await asyncio.sleep(PAUSE_S * 2**number)
    raise BackendError(kind, f"{TRIES} tries failed, the last with {type(last).__name__}: {last}") from last


class HandleModel:
    """A `LanguageModel` that streams, behind a handle of `StudentReplica`; `connect` comes before everything else.

    A replica that dies is a failure of kind `engine`; whoever drives the loop decides on another try.
    """

    def __init__(self, handle: Any) -> None:
        self._handle, self._streaming = handle, handle.options(stream=True)
        self._connected = False
        self._context_tokens: int | None = None

    async def connect(self) -> None:
        """Learn the model's limit, once.

        Raises:
            BackendError: kind `engine`.
        """
        if not self._connected:
            self._context_tokens = await call_again(self._handle.context_tokens, kind=FailureKind.ENGINE)
            self._connected = True

    @property
    def context_tokens(self) -> int | None:
        """Most tokens of prompt and completion together."""
        assert self._connected, "connect() comes first"
        return self._context_tokens

    @property
    def cache_tokens(self) -> None:
        """The engine's replica queues by itself."""
        return None

    async def complete(self, request: Request) -> Completion:
        """Write one completion; see `LanguageModel.complete`."""
        try:
            completion: Completion = await call(self._handle.complete, request)
        except GONE as error:
            raise _gone(FailureKind.ENGINE, "student", error) from error
        return completion

    async def stream(self, request: Request) -> AsyncGenerator[str | Completion, None]:
        """Write one completion piece by piece; see `StreamingModel.stream`."""
        try:
            async with aclosing(items(self._streaming.stream, request)) as pieces:
                async for piece in pieces:
                    yield piece
        except GONE as error:
            raise _gone(FailureKind.ENGINE, "student", error) from error

    async def close(self) -> None:
        """Nothing to do: Serve owns the replicas."""


class HandleRetriever:
    """A `Retriever` behind a handle of `RetrieverReplica`; a replica that dies is a failure of kind `retriever`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        """The k best passages; see `Retriever.search`."""
        try:
            found: tuple[Passage, ...] = await call(self._handle.search, query, k)
        except GONE as error:
            raise _gone(FailureKind.RETRIEVER, "retriever", error) from error
        return found


def _gone(kind: FailureKind, role: str, error: Exception) -> BackendError:
    """The death of a replica, in one sentence for the log: Ray's own is a page."""
    return BackendError(kind, f"the {role}'s replica died ({type(error).__name__})")
