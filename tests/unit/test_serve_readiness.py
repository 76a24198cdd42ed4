"""Asking for readiness is open to all, and costs the engine one look a second at most."""

import asyncio

import pytest

from steper_ray.serve import readiness
from steper_ray.serve.faults import Fault, FaultType
from steper_ray.serve.readiness import Readiness


class Service:
    asked = 0
    fault: Fault | None = None

    async def ready(self) -> None:
        self.asked += 1
        await asyncio.sleep(0.02)
        if self.fault:
            raise self.fault


async def test_a_thousand_who_ask_at_once_cost_one_look() -> None:
    service = Service()
    ready = Readiness(service.ready)
    await asyncio.gather(*(ready.check() for _ in range(1000)))
    await ready.check()
    assert service.asked == 1


async def test_an_old_outcome_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_S", 0.0)
    service = Service()
    ready = Readiness(service.ready)
    await ready.check()
    service.fault = Fault(FaultType.UNAVAILABLE, "no engine")
    with pytest.raises(Fault, match="no engine"):
        await ready.check()
    assert service.asked == 2


async def test_one_who_leaves_does_not_spoil_it_for_the_others() -> None:
    service = Service()
    ready = Readiness(service.ready)
    first, second = asyncio.create_task(ready.check()), asyncio.create_task(ready.check())
    await asyncio.sleep(0.005)
    first.cancel()
    await second
    assert first.cancelled()
