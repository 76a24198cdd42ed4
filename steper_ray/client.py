"""A client of the service: ask, or watch the steps arrive; for plain and for asynchronous code.

    with Client("http://127.0.0.1:8000") as client:
        print(client.answer("Who directed the film that …?", step_limit=3)["answer"])
        for name, data in client.stream("Who directed the film that …?"):
            ...

Options are the fields of `POST /v1/answer`; answers and events are the service's JSON as it is (docs/serving.md).
"""

import json
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx

from steper_ray.errors import EnvironmentFault, ServiceError

TIMEOUT_S = 600.0
"""The service's own deadline comes earlier."""

Event = tuple[str, dict[str, Any]]
"""Name and content of a server-sent event."""


class Client:
    """Asks one service; use as a context manager. `key` is an API key of the service."""

    def __init__(self, url: str, key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._http = httpx.Client(headers=_headers(key), timeout=timeout_s)

    def answer(self, question: str, **options: Any) -> dict[str, Any]:
        """The answer with its steps.

        Raises:
            EnvironmentFault: nothing answers at the address, or not this service.
            ServiceError: the service answers with an error.
        """
        with _faults(self._url):
            return _answer(self._http.post(_path(self._url, ""), json={"question": question, **options}), self._url)

    def stream(self, question: str, **options: Any) -> Generator[Event, None, None]:
        """The events of an answer as they come; the last one is `answer`. Raises as `answer`, when asked for an event.

        After `step_restarted` the `rationale` events of its step so far are void. Closing this ends the service's work.
        """
        body = {"question": question, **options}
        with _faults(self._url), self._http.stream("POST", _path(self._url, "/stream"), json=body) as response:
            if not _is_stream(response):
                response.read()
                raise _fault(response, self._url)
            reader = EventReader()
            for line in response.iter_lines():
                if event := reader.read(line):
                    yield event
            reader.end(self._url)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """The same for asynchronous code; many questions may be asked at once."""

    def __init__(self, url: str, key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._http = httpx.AsyncClient(headers=_headers(key), timeout=timeout_s)

    async def answer(self, question: str, **options: Any) -> dict[str, Any]:
        """See `Client.answer`."""
        with _faults(self._url):
            response = await self._http.post(_path(self._url, ""), json={"question": question, **options})
            return _answer(response, self._url)

    async def stream(self, question: str, **options: Any) -> AsyncGenerator[Event, None]:
        """See `Client.stream`."""
        body = {"question": question, **options}
        with _faults(self._url):
            async with self._http.stream("POST", _path(self._url, "/stream"), json=body) as response:
                if not _is_stream(response):
                    await response.aread()
                    raise _fault(response, self._url)
                reader = EventReader()
                async for line in response.aiter_lines():
                    if event := reader.read(line):
                        yield event
                reader.end(self._url)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class EventReader:
    """Server-sent events from the lines of a stream."""

    def __init__(self) -> None:
        self._name = ""
        self._ended = False

    def read(self, line: str) -> Event | None:
        """The event that this line completes.

        Raises:
            ServiceError: it is an `error`.
            ValueError: its content is not JSON.
        """
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        if field != "data":
            return None
        name, data = self._name, json.loads(value)
        self._name, self._ended = "", name == "answer"
        if name == "error":
            raise _error(data) or ValueError("an error without a type")
        return name, data

    def end(self, url: str) -> None:
        """The stream is over; raises a ServiceError when its answer has not come."""
        if not self._ended:
            raise ServiceError("broken_stream", f"the stream of {url} ended before its answer")


def _headers(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _path(url: str, rest: str) -> str:
    return f"{url.rstrip('/')}/v1/answer{rest}"


def _is_stream(response: httpx.Response) -> bool:
    return response.status_code == httpx.codes.OK and "event-stream" in response.headers.get("content-type", "")


def _answer(response: httpx.Response, url: str) -> dict[str, Any]:
    body = response.json()
    if response.status_code != httpx.codes.OK or not isinstance(body, dict) or "steps" not in body:
        raise _fault(response, url)
    return body


def _fault(response: httpx.Response, url: str) -> ServiceError:
    unexpected = f"unexpected content with status {response.status_code} from {url}"
    return _error(response.json(), response) or ServiceError("unexpected", unexpected)


def _error(body: Any, response: httpx.Response | None = None) -> ServiceError | None:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    after = response.headers.get("retry-after", "") if response else ""
    return ServiceError(str(error.get("type")), str(error.get("message")), int(after) if after.isdigit() else None)


@contextmanager
def _faults(url: str) -> Iterator[None]:
    remedy = "Start it with `steper serve`, or check its address"
    try:
        yield
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise EnvironmentFault(f"no service answers at {url}: {error}", remedy) from None
    except ValueError:
        raise EnvironmentFault(f"what answers at {url} is not this service (no JSON)", remedy) from None
