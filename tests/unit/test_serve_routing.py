"""Calls stay on their node while that costs no waiting, on replicas that only tell their queue."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest
from ray.serve._private.common import DeploymentHandleSource, DeploymentID, ReplicaID, RequestMetadata
from ray.serve.request_router import PendingRequest

from steper_ray.serve.routing import SLACK, NearbyRouter

DEPLOYMENT = DeploymentID(name="student", app_name="steper")
CALLS = 40


@dataclass
class Replica:
    name: str
    node_id: str
    length: int
    max_ongoing_requests: int = 100_000
    availability_zone: str | None = None
    multiplexed_model_ids: frozenset[str] = frozenset()
    probes: int = 0

    @property
    def replica_id(self) -> ReplicaID:
        return ReplicaID(self.name, DEPLOYMENT)

    async def get_queue_len(self, *, deadline_s: float) -> int:
        self.probes += 1
        return self.length


async def router_of(*replicas: Replica) -> NearbyRouter:
    """On node `here`, knowing all queues."""
    router = NearbyRouter(
        deployment_id=DEPLOYMENT,
        handle_source=DeploymentHandleSource.REPLICA,
        self_node_id="here",
        use_replica_queue_len_cache=True,
    )
    router.update_replicas(list(replicas))
    while any(router.replica_queue_len_cache.get(replica.replica_id) is None for replica in replicas):
        await asyncio.sleep(0)
    return router


async def chosen(router: NearbyRouter) -> Counter[str]:
    """Names of the replicas that calls go to; none of them is sent, so the queues stay as they are."""
    names = Counter[str]()
    for number in range(CALLS):
        metadata = RequestMetadata(request_id=str(number), internal_request_id=str(number))
        replica = await router._choose_replica_for_request(PendingRequest(args=[], kwargs={}, metadata=metadata))
        names[replica.name] += 1
    return names


@pytest.mark.parametrize("length", [0, 3, 3 + SLACK])
async def test_a_call_stays_near_while_that_is_hardly_busier(length: int) -> None:
    router = await router_of(Replica("near", "here", length), Replica("far", "there", 3), Replica("off", "there", 50))
    assert await chosen(router) == {"near": CALLS}


async def test_a_busier_near_replica_is_left_though_it_is_not_full() -> None:
    router = await router_of(Replica("near", "here", 4 + SLACK), Replica("far", "there", 3))
    assert await chosen(router) == {"far": CALLS}


async def test_the_idlest_of_several_near_ones_is_taken() -> None:
    near = [Replica("busy", "here", 2), Replica("idle", "here", 1)]
    assert await chosen(await router_of(*near, Replica("far", "there", 0))) == {"idle": CALLS}


async def test_on_a_node_of_their_own_calls_are_spread_as_serve_does() -> None:
    router = await router_of(Replica("one", "here", 0), Replica("two", "here", 0))
    assert set(await chosen(router)) == {"one", "two"}


async def test_without_a_near_replica_the_idler_far_one_is_taken() -> None:
    router = await router_of(Replica("far", "there", 1), Replica("off", "yonder", 0))
    assert await chosen(router) == {"off": CALLS}


async def test_a_far_queue_that_is_not_known_any_more_is_asked_for() -> None:
    far = Replica("far", "there", 0)
    router = await router_of(Replica("near", "here", 3), far)
    router.replica_queue_len_cache.invalidate_key(far.replica_id)
    asked = far.probes
    first = await chosen(router)
    assert far.probes > asked
    assert first["far"] > 0
