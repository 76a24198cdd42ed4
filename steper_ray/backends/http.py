"""A retriever behind any search service: queries are posted as JSON, passages come back as JSON (docs/backends.md)."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from steper_ray.backends.batches import Batches
from steper_ray.backends.endpoint import Endpoint, check_url
from steper_ray.backends.endpoint_key import read_key
from steper_ray.backends.reply import FATAL_IN_A_ROW, Reply
from steper_ray.core.types import FailureKind, Passage
from steper_ray.errors import BackendError, ConfigError, EnvironmentFault
from steper_ray.sections.shared import RetrieverSection

URL_EXAMPLE = "http://host:8080/search"

_TRIAL_QUERY = "Who wrote the novel?"
_CHECK_RETRIES = 2
_FAULTS_SHOWN = 3
_ABOUT_A_QUERY = (400, 413, 422)
"""Refusals that one query of several may be the reason of."""


class _Spoiled(BackendError):
    """A fault that may be that of one query, or of one passage found for it: the others may fare better alone."""


class Found(BaseModel, extra="ignore"):
    """One passage as a service gives it."""

    id: Annotated[str, Field(min_length=1)]
    title: str = ""
    text: str
    score: Annotated[float, Field(allow_inf_nan=False)] = 0.0


class Results(BaseModel, extra="ignore"):
    """The reply: for each query its passages, best first."""

    results: list[list[Found]]


class HttpRetriever:
    """A `Retriever`; made by `load`. Searches may be in flight in any number on one event loop.

    So many requests are under way at a time; queries that come in meanwhile travel together in the next.
    """

    def __init__(self, endpoint: Endpoint, *, requests: int, batch: int) -> None:
        self._endpoint = endpoint
        self._batches = Batches(range(requests), lambda _, queries, k: self.search_each(queries, k), batch)
        self._fatal_in_a_row = 0

    @classmethod
    def load(cls, section: RetrieverSection) -> "HttpRetriever":
        """Read the key; nothing is sent yet.

        Raises:
            ConfigError: url or key are missing or not usable.
        """
        endpoint = Endpoint(
            check_url(section.url, "retriever.url", URL_EXAMPLE),
            read_key(section.key_file, section.key_variable, "retriever"),
            kind=FailureKind.RETRIEVER,
            timeout_s=section.timeout_s,
            retries=section.retries,
            # Queries that are asked alone again go beside their batch.
            connections=section.requests * section.batch,
        )
        return cls(endpoint, requests=section.requests, batch=section.batch)

    async def check(self) -> None:
        """Search once, to see that address and key are right and the reply is what it should be.

        Raises:
            ConfigError: the service answers something else.
            EnvironmentFault: nothing answers.
        """
        try:
            reply = await self._post([_TRIAL_QUERY], 1, most_retries=_CHECK_RETRIES)
        except BackendError as error:
            remedy = f"Check that retriever.url={self._endpoint.url} is right and the service runs"
            raise EnvironmentFault(f"a trial search failed: {error}", remedy) from None
        try:
            self._read(reply, 1, 1)
        except BackendError as error:
            raise ConfigError(f"retriever.url: a trial search failed: {error}; {self._held()}") from None

    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        """The k best passages, best first; raises as `search_many`."""
        return await self._batches.search(query, k)

    async def search_many(self, queries: list[str], k: int) -> list[tuple[Passage, ...]]:
        """The k best passages of each query, in one request.

        Raises:
            BackendError: kind `retriever`: no answer, a refusal, or a reply of another form.
            EnvironmentFault: key, address or account were refused `FATAL_IN_A_ROW` times, so the run ends.
        """
        reply = await self._post(queries, k)
        self._fatal_in_a_row = self._fatal_in_a_row + 1 if reply.fatal else 0
        if self._fatal_in_a_row >= FATAL_IN_A_ROW:
            raise EnvironmentFault(
                f"{self._endpoint.url} refuses all searches: {reply.shown()}; {self._held()}",
                "Check retriever.url, and retriever.key_file or retriever.key_variable; the same command continues",
            )
        return self._read(reply, len(queries), k)

    async def search_each(self, queries: list[str], k: int) -> Sequence[tuple[Passage, ...] | BackendError]:
        """As `search_many`, for queries of several questions: one that is refused spoils none but its own.

        Raises:
            BackendError: kind `retriever`: no answer, or a refusal that asking alone would not change.
        """
        try:
            return await self.search_many(queries, k)
        except _Spoiled:
            if len(queries) == 1:
                raise
        return await asyncio.gather(*(self._alone(query, k) for query in queries))

    async def close(self) -> None:
        """Close all connections."""
        await self._endpoint.close()

    async def _alone(self, query: str, k: int) -> tuple[Passage, ...] | BackendError:
        try:
            return (await self.search_many([query], k))[0]
        except BackendError as error:
            return error

    async def _post(self, queries: list[str], k: int, most_retries: int | None = None) -> Reply:
        return await self._endpoint.post("", {"queries": queries, "k": k}, most_retries=most_retries)

    def _held(self) -> str:
        return f"sent was the key from {self._endpoint.key.source}" if self._endpoint.key else "no key was sent"

    def _read(self, reply: Reply, queries: int, k: int) -> list[tuple[Passage, ...]]:
        if reply.status != 200:
            kind = _Spoiled if reply.status in _ABOUT_A_QUERY else BackendError
            raise kind(FailureKind.RETRIEVER, f"{self._endpoint.url} refuses the search: {reply.shown()}")
        try:
            results = Results.model_validate_json(reply.text).results
        except ValidationError as error:
            raise _Spoiled(
                FailureKind.RETRIEVER,
                f"{self._endpoint.url} answers in another form: {_faults(error)}; {reply.shown()}",
            ) from None
        if len(results) != queries:
            raise _Spoiled(
                FailureKind.RETRIEVER,
                f"{self._endpoint.url} answers {len(results)} lists to {queries} queries; {reply.shown()}",
            )
        return [_passages(found, k) for found in results]


def _passages(found: list[Found], k: int) -> tuple[Passage, ...]:
    """At most k, each id once: the first counts."""
    unique: dict[str, Passage] = {}
    for one in found:
        unique.setdefault(one.id, Passage(one.id, one.title, one.text, one.score))
    return tuple(unique.values())[:k]


def _faults(error: ValidationError) -> str:
    shown = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:_FAULTS_SHOWN]]
    return "; ".join(shown)
