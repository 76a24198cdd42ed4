"""Clients that ask a service in a closed loop: each asks its next question when the one before is answered."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import aiohttp

Asked = dict[str, Any]
"""The body of a request."""


@dataclass(slots=True)
class Watched:
    """What the clients saw, seconds."""

    started: float = field(default_factory=time.time)
    ended: float = 0.0
    drained: float = 0.0
    """When the first client found nothing left to ask: until then all of them were waiting for an answer."""
    latencies: list[float] = field(default_factory=list)
    first_events: list[float] = field(default_factory=list)
    """From request to first event; streamed alone."""
    first_passages: list[float] = field(default_factory=list)
    """From request to the passages of the first step; streamed alone."""
    gaps: list[float] = field(default_factory=list)
    """Between two pieces of one rationale; streamed alone."""
    steps: int = 0
    failed: int = 0

    @property
    def wall_s(self) -> float:
        """From the first request to the last answer."""
        return self.ended - self.started

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.wall_s

    def quantile(self, share: float) -> float:
        """Of the latencies."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def closed_loop(
    url: str, bodies: Sequence[Asked], clients: int, *, stream: bool = False, seconds: float | None = None
) -> Watched:
    """Ask every body once, or all of them round and round for so many seconds."""
    watched, waiting = Watched(), iter(bodies) if seconds is None else cycle(bodies)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(600)) as session:
        await asyncio.gather(*(_client(session, url, waiting, watched, stream, seconds) for _ in range(clients)))
    watched.ended = time.time()
    return watched


async def _client(
    session: aiohttp.ClientSession,
    url: str,
    waiting: Iterator[Asked],
    watched: Watched,
    stream: bool,
    until: float | None,
) -> None:
    for body in waiting:
        if until is not None and time.time() - watched.started > until:
            return
        started = time.perf_counter()
        path = "/v1/answer/stream" if stream else "/v1/answer"
        async with session.post(url + path, json=body) as response:
            if response.status != 200:
                watched.failed += 1
                continue
            answer = await (_streamed(response, started, watched) if stream else response.json())
        watched.latencies.append(time.perf_counter() - started)
        watched.steps += len(answer["steps"])
    watched.drained = watched.drained or time.time()


async def _streamed(response: aiohttp.ClientResponse, started: float, watched: Watched) -> Any:
    name, data, seen, piece_at = "", b"", 0, 0.0
    async for line in response.content:
        if line.startswith(b"event: "):
            name, now = line[7:].strip().decode(), time.perf_counter()
            if not seen:
                watched.first_events.append(now - started)
            if name == "passages" and len(watched.first_passages) < len(watched.first_events):
                watched.first_passages.append(now - started)
            if name == "rationale" and piece_at:
                watched.gaps.append(now - piece_at)
            piece_at = now if name == "rationale" else 0.0
            seen += 1
        elif line.startswith(b"data: "):
            data = line[6:]
    assert name == "answer", data[:300]
    return json.loads(data)


async def gets(url: str, path: str, clients: int, seconds: float) -> float:
    """Answers per second to a GET that so many clients repeat."""
    done, ends = 0, time.perf_counter() + seconds

    async def one(session: aiohttp.ClientSession) -> None:
        nonlocal done
        while time.perf_counter() < ends:
            async with session.get(url + path) as response:
                assert response.status == 200
                await response.read()
            done += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(one(session) for _ in range(clients)))
    return done / seconds
