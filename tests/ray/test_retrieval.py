"""The client of retriever actors: it asks those of its node, several queries at once, and another when one is lost."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
import ray

from steper_ray.core.types import Passage
from steper_ray.drive.retrieval import RetrieverClient, RetrieverHandle
from steper_ray.errors import BackendError

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


@ray.remote(num_cpus=0)
class Librarian:
    """Answers with its own name and remembers how many queries came at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: list[int] = []

    def search_many(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        self._calls.append(len(queries))
        return [tuple(Passage(f"{query}/{rank}", self._name, "") for rank in range(k)) for query in queries]

    def calls(self) -> list[int]:
        return self._calls


def librarian(name: str, node: str) -> RetrieverHandle:
    actor: Any = Librarian.remote(name)
    return RetrieverHandle(actor, node)


def end(handle: RetrieverHandle) -> None:
    """Kill an actor and wait until Ray knows: until then it may still answer."""
    ray.kill(handle.actor)
    patience = time.monotonic() + 60
    while time.monotonic() < patience:
        try:
            ray.get(handle.actor.calls.remote())
        except ray.exceptions.RayActorError:
            return
    raise AssertionError("the actor lives on")


async def test_queries_that_come_in_meanwhile_travel_together_and_each_gets_its_own_passages() -> None:
    handle = librarian("a", "here")
    client = RetrieverClient([handle], "here")
    found = await asyncio.gather(*(client.search(f"q{number}", 2) for number in range(10)))
    assert [[passage.id for passage in passages] for passages in found] == [[f"q{n}/0", f"q{n}/1"] for n in range(10)]
    calls = ray.get(handle.actor.calls.remote())
    assert sum(calls) == 10
    assert len(calls) <= 3


async def test_queries_of_another_k_travel_in_a_call_of_their_own() -> None:
    client = RetrieverClient([librarian("a", "here")], "here")
    found = await asyncio.gather(*(client.search("q", k) for k in (1, 3, 1, 3)))
    assert [len(passages) for passages in found] == [1, 3, 1, 3]


async def test_the_nodes_own_retriever_is_asked_and_any_other_where_there_is_none() -> None:
    handles = [librarian("far", "there"), librarian("near", "here")]
    (passage,) = await RetrieverClient(handles, "here").search("q", 1)
    assert passage.title == "near"
    everyone = RetrieverClient(handles, "elsewhere")
    found = await asyncio.gather(*(everyone.search(f"q{number}", 1) for number in range(8)))
    assert {passages[0].title for passages in found} == {"far", "near"}


async def test_a_lost_retriever_is_replaced_by_another_and_only_when_none_is_left_the_search_fails() -> None:
    handles = [librarian("near", "here"), librarian("far", "there")]
    client = RetrieverClient(handles, "here")
    assert (await client.search("q", 1))[0].title == "near"
    end(handles[0])
    titles = {(await client.search(f"again {number}", 1))[0].title for number in range(2)}
    assert titles == {"far"}
    end(handles[1])
    with pytest.raises(BackendError, match="search failed"):
        await client.search("in vain", 1)


async def test_one_who_gives_up_waiting_does_not_disturb_the_others() -> None:
    client = RetrieverClient([librarian("a", "here")], "here")
    given_up = asyncio.create_task(client.search("q1", 1))
    others = [asyncio.create_task(client.search(f"q{number}", 1)) for number in range(2, 5)]
    await asyncio.sleep(0)
    given_up.cancel()
    assert [(await other)[0].id for other in others] == ["q2/0", "q3/0", "q4/0"]
