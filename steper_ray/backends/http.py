"""A retriever behind any search service: queries are posted as JSON, passages come back as JSON (docs/backends.md)."""

from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

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
    """A `Retriever`; made by `load`. Searches may be in flight in any number on one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._fatal_in_a_row = 0

    @classmethod
    def load(cls, section: RetrieverSection, *, in_flight: int = 1024) -> "HttpRetriever":
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
            connections=in_flight,
        )
        return cls(endpoint)

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
        return (await self.search_many([query], k))[0]

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

    async def close(self) -> None:
        """Close all connections."""
        await self._endpoint.close()

    async def _post(self, queries: list[str], k: int, most_retries: int | None = None) -> Reply:
        return await self._endpoint.post("", {"queries": queries, "k": k}, most_retries=most_retries)

    def _held(self) -> str:
        return f"sent was the key from {self._endpoint.key.source}" if self._endpoint.key else "no key was sent"

    def _read(self, reply: Reply, queries: int, k: int) -> list[tuple[Passage, ...]]:
        if reply.status != 200:
            raise BackendError(FailureKind.RETRIEVER, f"{self._endpoint.url} refuses the search: {reply.shown()}")
        try:
            results = Results.model_validate_json(reply.text).results
        except ValidationError as error:
            raise BackendError(
                FailureKind.RETRIEVER,
                f"{self._endpoint.url} answers in another form: {_faults(error)}; {reply.shown()}",
            ) from None
        if len(results) != queries:
            raise BackendError(
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
