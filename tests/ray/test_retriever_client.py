"""The client of retriever actors, on real Ray actors that search in nothing."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import ray

from steper_ray.core.types import FailureKind, Passage
from steper_ray.drive.retrieval import RetrieverClient, RetrieverHandle
from steper_ray.errors import BackendError

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


class Shelf:
    """Finds one passage, named by the query; hangs on `hang` as long as its folder is empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def search_many(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        if "hang" in queries and not list(self._folder.iterdir()):
            (self._folder / "hung").touch()
            time.sleep(3600)
        if "broken" in queries:
            raise BackendError(FailureKind.RETRIEVER, "Lucene: no such file")
        if "never" in queries:
            time.sleep(3600)
        return [(Passage(f"{query}-{k}", "", ""),) for query in queries]


def shelf(folder: Path) -> RetrieverHandle:
    remote = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)(Shelf)
    return RetrieverHandle(remote.remote(folder), "")


async def test_an_actor_that_hangs_is_started_anew_and_asked_again(tmp_path: Path) -> None:
    handle = shelf(tmp_path)
    ray.get(handle.actor.search_many.remote(["warm"], 1))
    client = RetrieverClient([handle], "", hung_s=15.0)
    found = await client.search("hang", 2)
    assert found[0].id == "hang-2"
    assert (tmp_path / "hung").exists()
    ray.kill(handle.actor)


async def test_a_search_that_no_actor_answers_fails_and_the_next_one_is_asked(tmp_path: Path) -> None:
    handle = shelf(tmp_path)
    ray.get(handle.actor.search_many.remote(["warm"], 1))
    client = RetrieverClient([handle], "", hung_s=8.0)
    with pytest.raises(BackendError, match="no search was answered within 8 s") as caught:
        await client.search("never", 2)
    assert caught.value.kind == FailureKind.RETRIEVER
    assert (await RetrieverClient([handle], "", hung_s=60.0).search("a", 1))[0].id == "a-1"
    ray.kill(handle.actor)


async def test_the_reason_of_a_failed_search_is_one_line(tmp_path: Path) -> None:
    handle = shelf(tmp_path)
    with pytest.raises(BackendError) as caught:
        await RetrieverClient([handle], "").search("broken", 2)
    assert str(caught.value) == "search failed: Lucene: no such file"
    ray.kill(handle.actor)
