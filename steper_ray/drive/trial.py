"""One trial call to each remote service, so that a wrong key or address ends a command before anything starts."""

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from steper_ray.core.types import Passage
from steper_ray.sections.model import ModelSection
from steper_ray.sections.shared import RetrieverSection

Result = TypeVar("Result")


def try_endpoint(section: ModelSection, role: str) -> None:
    """Write a few tokens at the endpoint of a role.

    Raises:
        ConfigError: url, key, model name or settings are refused.
        EnvironmentFault: nothing answers.
    """
    _run(_try_endpoint(section, role))


def try_service(section: ModelSection, role: str) -> None:
    """Ask a service of ours whether it is ready.

    Raises:
        EnvironmentFault: it is not.
    """
    _run(_try_service(section, role))


def try_search(section: RetrieverSection) -> None:
    """Search once.

    Raises:
        ConfigError: url or key are refused, or the reply has another form.
        EnvironmentFault: nothing answers.
    """
    _run(_try_search(section))


def search_all(section: RetrieverSection, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
    """Search for each query by itself: the k best passages of each.

    Raises:
        BackendError: a search failed.
    """
    return _run(_search_all(section, queries, k))


async def _try_endpoint(section: ModelSection, role: str) -> None:
    from steper_ray.backends.openai import OpenAIModel

    model = OpenAIModel.load(section, role=role)
    try:
        await model.check()
    finally:
        await model.close()


async def _try_service(section: ModelSection, role: str) -> None:
    from steper_ray.backends.service import ServiceModel

    model = ServiceModel.load(section, role=role)
    try:
        await model.check()
    finally:
        await model.close()


async def _try_search(section: RetrieverSection) -> None:
    from steper_ray.backends.http import HttpRetriever

    retriever = HttpRetriever.load(section)
    try:
        await retriever.check()
    finally:
        await retriever.close()


async def _search_all(section: RetrieverSection, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
    from steper_ray.backends.http import HttpRetriever

    retriever = HttpRetriever.load(section)
    try:
        return await asyncio.gather(*(retriever.search(query, k) for query in queries))
    finally:
        await retriever.close()


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    # In a thread of its own, since the caller may be on an event loop already (a notebook).
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
