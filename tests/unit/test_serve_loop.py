"""A replica of the loop opens its ways to student and index before the first question."""

import asyncio
from typing import Any

import pytest

from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError
from steper_ray.serve import handles
from steper_ray.serve.loop import LoopReplica
from tests.unit.local_service import Handle, Shelf, plan_of


class Counting:
    """A student and an index that count how often they are asked."""

    def __init__(self, fault: BackendError | None = None) -> None:
        self.limits, self.queries, self.fault = 0, list[str](), fault

    async def context_tokens(self) -> int:
        self.limits += 1
        if self.fault:
            raise self.fault
        return 512

    def search(self, query: str, k: int) -> Any:
        self.queries.append(query)
        return Shelf().search(query, k)


def loop_of(counting: Counting) -> LoopReplica:
    return LoopReplica(plan_of(), Handle(counting), Handle(counting))


async def test_the_first_look_opens_the_ways_and_later_ones_ask_nobody() -> None:
    counting = Counting()
    loop = loop_of(counting)
    for _ in range(3):
        await loop.check_health()
        await asyncio.sleep(0)
    assert loop._warming is not None
    await loop._warming
    await loop.check_health()
    assert (counting.limits, counting.queries) == (1, ["ready"])
    assert loop._model.context_tokens == 512


async def test_the_look_does_not_wait_for_an_engine_that_is_starting() -> None:
    class Starting(Counting):
        async def context_tokens(self) -> int:
            await asyncio.Event().wait()
            return 512

    loop = loop_of(Starting())
    await loop.check_health()
    assert loop._warming is not None
    assert not loop._warming.done()
    loop._warming.cancel()


async def test_an_engine_that_does_not_start_leaves_the_loop_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "PAUSE_S", 0.0)
    counting = Counting(BackendError(FailureKind.ENGINE, "no engine"))
    loop = loop_of(counting)
    await loop.check_health()
    assert loop._warming is not None
    await loop._warming
    await loop.check_health()
    assert counting.limits == handles.TRIES
