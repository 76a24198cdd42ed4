"""Queries that travel together: one call per searcher at a time, and each query gets its own answer or error."""

import asyncio

import pytest

from steper_ray.backends.batches import Batches
from steper_ray.core.types import FailureKind, Passage
from steper_ray.errors import BackendError, EnvironmentFault


class Desk:
    """Answers calls when it is let; remembers them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str], int]] = []
        self.open = asyncio.Event()
        self.busy, self.most_busy = 0, 0

    async def ask(self, searcher: str, queries: list[str], k: int) -> list[tuple[Passage, ...] | BackendError]:
        self.calls.append((searcher, queries, k))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        await self.open.wait()
        self.busy -= 1
        if "dead" in queries:
            raise BackendError(FailureKind.RETRIEVER, "nobody answers")
        if "fatal" in queries:
            raise EnvironmentFault("no key", "Give one")
        return [
            BackendError(FailureKind.RETRIEVER, f"{query} is refused")
            if query == "odd"
            else (Passage(f"{query}-{k}", "", ""),)
            for query in queries
        ]


async def asked(desk: Desk, batches: Batches[str], *queries: tuple[str, int]) -> list[object]:
    """What comes of these searches, begun in turn while nobody answers yet."""
    searches = [asyncio.create_task(batches.search(query, k)) for query, k in queries]
    await asyncio.sleep(0.01)
    desk.open.set()
    found = await asyncio.gather(*searches, return_exceptions=True)
    return [one if isinstance(one, Exception) else one[0].id for one in found]


async def test_what_comes_in_while_all_are_busy_travels_together() -> None:
    desk = Desk()
    batches = Batches(["x", "y"], desk.ask, 3)
    found = await asked(desk, batches, *((query, 2) for query in "abcdefg"))
    assert found == [f"{query}-2" for query in "abcdefg"]
    assert [queries for _, queries, _ in desk.calls] == [["a"], ["b"], ["c", "d", "e"], ["f", "g"]]
    assert desk.most_busy == 2


async def test_one_call_asks_for_one_number_of_passages_and_no_query_waits_for_ever() -> None:
    desk = Desk()
    found = await asked(desk, Batches(["x"], desk.ask, 9), ("a", 1), ("b", 2), ("c", 3), ("d", 2))
    assert found == ["a-1", "b-2", "c-3", "d-2"]
    assert [(queries, k) for _, queries, k in desk.calls] == [(["a"], 1), (["b", "d"], 2), (["c"], 3)]


async def test_an_error_of_one_query_is_not_its_neighbours() -> None:
    desk = Desk()
    first, odd, last = await asked(desk, Batches(["x"], desk.ask, 9), ("a", 1), ("odd", 1), ("b", 1))
    assert (first, last) == ("a-1", "b-1")
    assert str(odd) == "odd is refused"


@pytest.mark.parametrize(("query", "error"), [("dead", BackendError), ("fatal", EnvironmentFault)])
async def test_a_call_that_fails_fails_all_its_queries_and_the_next_one_is_made(query: str, error: type) -> None:
    desk = Desk()
    batches = Batches(["x"], desk.ask, 9)
    found = await asked(desk, batches, ("a", 1), (query, 1), ("b", 1))
    assert found[0] == "a-1"
    assert [type(one) for one in found[1:]] == [error, error]
    assert (await batches.search("c", 1))[0].id == "c-1"


async def test_who_gives_up_waiting_does_not_disturb_the_others() -> None:
    desk = Desk()
    batches = Batches(["x"], desk.ask, 9)
    gone, stays = (asyncio.create_task(batches.search(query, 1)) for query in "ab")
    await asyncio.sleep(0)
    gone.cancel()
    desk.open.set()
    assert (await stays)[0].id == "b-1"
    assert gone.cancelled()


async def test_a_searcher_rests_between_two_calls_and_what_comes_in_meanwhile_travels_together() -> None:
    desk = Desk()
    desk.open.set()
    batches = Batches(["x"], desk.ask, 9, rest_s=0.1)
    await batches.search("a", 1)
    await asyncio.gather(batches.search("b", 1), batches.search("c", 1))
    assert [queries for _, queries, _ in desk.calls] == [["a"], ["b", "c"]]
