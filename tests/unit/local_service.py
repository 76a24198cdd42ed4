"""The whole service in one process without Ray: replicas behind handles that call them directly."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ray.exceptions import ActorDiedError

from steper_ray.core.types import LoopSettings, Passage
from steper_ray.sections.model import ModelSection
from steper_ray.sections.serve import ServeSection
from steper_ray.serve.ingress import Ingress
from steper_ray.serve.loop import LoopReplica
from steper_ray.serve.plan import ServicePlan
from steper_ray.serve.student import StudentReplica


def plan_of(limits: ServeSection | None = None, **student: Any) -> ServicePlan:
    """A scripted student that answers in its third step."""
    section = ModelSection(backend="scripted", **student)
    return ServicePlan(LoopSettings(), section, (), Path("index"), limits or ServeSection(), 0, 1)


class Shelf:
    """A retriever replica that knows one passage per query."""

    def search(self, query: str, k: int) -> tuple[Passage, ...]:
        return (Passage(f"p{len(query)}", "Title", f"About {query}", 1.5),)


class Handle:
    """A deployment's handle; `deaths` is how many of the next calls of a method end with their replica's death."""

    def __init__(self, replica: Any, **deaths: int) -> None:
        self._replica, self.deaths, self.cancelled = replica, deaths, list[str]()

    def options(self, stream: bool) -> "Handle":
        return self

    def __getattr__(self, name: str) -> "Method":
        return Method(self, name, getattr(self._replica, name))

    def dies(self, name: str) -> bool:
        left = self.deaths.get(name, 0)
        self.deaths[name] = max(left - 1, 0)
        return left > 0


class Method:
    def __init__(self, handle: Handle, name: str, function: Any) -> None:
        self._handle, self._name, self._function = handle, name, function

    def remote(self, *arguments: Any) -> "Call":
        return Call(self._handle, self._name, self._function(*arguments))


class Call:
    """What `remote` returns, for one result or many; a replica that dies does so behind its second item."""

    def __init__(self, handle: Handle, name: str, result: Any) -> None:
        self._handle, self._name, self._result, self._items = handle, name, result, 0
        self._dies = handle.dies(name)

    def __await__(self) -> Any:
        return self._settled().__await__()

    def __aiter__(self) -> "Call":
        return self

    async def __anext__(self) -> Any:
        if self._dies and self._items == 2:
            raise ActorDiedError
        self._items += 1
        return await anext(self._result)

    def cancel(self) -> None:
        self._handle.cancelled.append(self._name)

    async def _settled(self) -> Any:
        if self._dies:
            if isinstance(self._result, Awaitable):
                asyncio.ensure_future(self._result).cancel()
            raise ActorDiedError
        return await self._result if isinstance(self._result, Awaitable) else self._result


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imported by a test file: hardly a pause before a step is done again."""
    monkeypatch.setattr("steper_ray.serve.loop.PAUSE_S", 0.01)


class Service:
    """All deployments of a plan; `deaths` as in `Handle`, by deployment."""

    def __init__(self, plan: ServicePlan, shelf: Any = None, **deaths: dict[str, int]) -> None:
        self.student = Handle(StudentReplica(plan), **deaths.get("student", {}))
        self.retriever = Handle(shelf or Shelf(), **deaths.get("retriever", {}))
        self.loop = Handle(LoopReplica(plan, self.student, self.retriever), **deaths.get("loop", {}))
        self.api = Ingress(plan, self.loop).__serve_build_asgi_app__()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=self.api, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client

    async def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        async with self.client() as client:
            return await client.post(path, json=body, **options)


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The server-sent events of a body: name and content."""
    events = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events
