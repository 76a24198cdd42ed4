"""What the end of a call between replicas means."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata
from ray.exceptions import RayActorError

from steper_ray.backends.interfaces import Request
from steper_ray.core.types import Message, Prompt
from steper_ray.errors import BackendError
from steper_ray.serve.handles import HandleModel, HandleRetriever, call, items


class Ending:
    """A method of a handle whose calls end with a gRPC status, streams behind their first item."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._error = AioRpcError(code, Metadata(), Metadata(), "secret")

    def options(self, stream: bool) -> "Ending":
        return self

    def __getattr__(self, name: str) -> "Ending":
        return self

    def remote(self, *_: Any) -> "Ending":
        return self

    def __await__(self) -> Any:
        raise self._error
        yield

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "a"
        raise self._error


LOST = [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN]
REQUEST = Request(Prompt((Message("user", "Who?"),)), (), max_tokens=1)


@pytest.mark.parametrize("code", LOST)
async def test_a_call_that_is_lost_is_the_death_of_a_replica(code: grpc.StatusCode) -> None:
    with pytest.raises(RayActorError):
        await call(Ending(code))
    stream = items(Ending(code))
    assert await anext(stream) == "a"
    with pytest.raises(RayActorError):
        await anext(stream)


@pytest.mark.parametrize("code", LOST)
async def test_it_is_a_transient_failure_of_whoever_was_asked(code: grpc.StatusCode) -> None:
    with pytest.raises(BackendError, match="the retriever's replica died") as searched:
        await HandleRetriever(Ending(code)).search("Who?", 1)
    with pytest.raises(BackendError, match="the student's replica died") as completed:
        await HandleModel(Ending(code)).complete(REQUEST)
    with pytest.raises(BackendError, match="the student's replica died"):
        [piece async for piece in HandleModel(Ending(code)).stream(REQUEST)]
    assert (searched.value.kind, completed.value.kind) == ("retriever", "engine")


async def test_what_another_try_would_not_change_stays_what_it_is() -> None:
    with pytest.raises(AioRpcError):
        await call(Ending(grpc.StatusCode.RESOURCE_EXHAUSTED))
