"""What stands between the network and the service: keys, names, headers, bodies; on the application itself."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

from steper_ray.sections.serve import ServeSection
from steper_ray.serve.door import FREE, add_door
from steper_ray.serve.fault_responses import handle_faults
from steper_ray.serve.keys import add_key, revoke_key
from steper_ray.serve.page import PATHS, add_page


def application(limits: ServeSection) -> FastAPI:
    """The door in front of a house of two rooms."""
    api = FastAPI(docs_url=None, redoc_url=None)

    @api.get("/seen")
    async def seen(request: Request) -> dict[str, Any]:
        return {"key": request.scope["steper_note"].get("key"), "headers": sorted(request.headers)}

    @api.get("/broken")
    async def broken() -> None:
        raise KeyError("secret")

    @api.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @api.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await released.wait()
            yield b"last"

        return StreamingResponse(pieces())

    released = api.state.released = asyncio.Event()
    add_page(api)
    add_door(api, limits, echo=True)
    handle_faults(api)
    return api


def client(api: FastAPI, base: str = "http://localhost", key: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app=api, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=base, headers=headers)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


async def test_with_keys_only_a_key_opens_and_the_probes_and_the_page_stay_open(file: Path) -> None:
    key = add_key(file, "alice")
    api = application(ServeSection(keys=file))
    async with client(api, "http://public.example.org") as http:
        for path in PATHS:
            assert (await http.get(path)).status_code == 200, path
        refused = await http.get("/seen")
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert refused.json()["error"]["type"] == "unauthenticated"
        admitted = await http.get("/seen", headers={"Authorization": f"bearer {key}"})
        assert admitted.status_code == 200
    assert "/v1/answer" not in FREE
    # What lies behind the door knows whose key it was, and not the key.
    assert admitted.json()["key"] == "alice"
    assert "authorization" not in admitted.json()["headers"]


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic {key}", "{key}", "Bearer {key}x", "Bearer x{key}", "Bearer \xff\xfe"]
)
async def test_whatever_is_not_the_key_is_refused_without_an_echo(
    file: Path, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = add_key(file, "alice")
    with caplog.at_level(logging.DEBUG):
        async with client(application(ServeSection(keys=file))) as http:
            header = [(b"Authorization", value.format(key=key).encode("latin-1"))]
            response = await http.get("/seen", headers=header)
    assert response.status_code == 401
    assert key not in response.text + str(response.headers) + caplog.text


async def test_two_authorization_headers_are_none(file: Path) -> None:
    key = add_key(file, "alice")
    async with client(application(ServeSection(keys=file))) as http:
        twice = [("Authorization", f"Bearer {key}"), ("Authorization", "Bearer other")]
        assert (await http.get("/seen", headers=twice)).status_code == 401


@pytest.mark.parametrize(
    "path", ["//seen", "/healthz/../seen", "/healthz/..%2fseen", "/%2e%2e/seen", "/docs/", "/seen/"]
)
async def test_tricks_with_paths_open_nothing(file: Path, path: str) -> None:
    add_key(file, "alice")
    async with client(application(ServeSection(keys=file))) as http:
        assert (await http.get(httpx.URL("http://localhost", path=path))).status_code in (401, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/page/../index.html",
        "/page/__init__.py",
        "/page//etc/passwd",
        "/page/..%2f..%2fkeys.py",
        "/page/",
        "/page/style.css%00",
    ],
)
async def test_the_page_is_its_own_files_and_nothing_else(path: str) -> None:
    async with client(application(ServeSection())) as http:
        assert (await http.get(httpx.URL("http://localhost", path=path))).status_code == 404


async def test_a_prefix_of_the_service_is_not_part_of_the_path(file: Path) -> None:
    add_key(file, "alice")
    inner = application(ServeSection(keys=file))

    async def below(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "root_path": "/steper"}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=below), base_url="http://localhost") as http:
        assert (await http.get("/steper/docs")).status_code == 200
        assert (await http.get("/steper/seen")).status_code == 401


async def test_revoking_and_limits_need_no_restart(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steper_ray.serve.keyring.CHECK_S", 0.0)
    key = add_key(file, "alice", per_minute=2)
    api = application(ServeSection(keys=file, key_per_minute=50))
    async with client(api, key=key) as http:
        assert [(await http.get("/seen")).status_code for _ in range(3)] == [200, 200, 429]
        refused = await http.get("/seen")
        assert refused.json()["error"]["type"] == "rate_limited"
        assert 0 < int(refused.headers["Retry-After"]) <= 30
        revoke_key(file, "alice")
        assert (await http.get("/seen")).status_code == 401


async def test_one_key_does_not_use_up_another(file: Path) -> None:
    alice, bob = add_key(file, "alice", per_minute=1), add_key(file, "bob")
    api = application(ServeSection(keys=file))
    async with client(api, key=alice) as first, client(api, key=bob) as second:
        assert [(await first.get("/seen")).status_code for _ in range(2)] == [200, 429]
        assert (await second.get("/seen")).status_code == 200


async def test_a_stream_holds_its_place_until_it_has_ended(file: Path) -> None:
    api = application(ServeSection(keys=file, key_concurrent=1))
    async with client(api, key=add_key(file, "alice")) as http:
        # httpx gathers a whole response in memory, so the stream runs beside.
        streamed = asyncio.create_task(http.get("/stream"))
        await asyncio.sleep(0.05)
        second = await http.get("/seen")
        assert (second.status_code, second.headers["Retry-After"]) == (429, "1")
        api.state.released.set()
        assert (await streamed).text == "firstlast"
        assert (await http.get("/seen")).status_code == 200


async def test_a_client_that_leaves_gives_its_place_back(file: Path) -> None:
    api = application(ServeSection(keys=file, key_concurrent=1))
    async with client(api, key=add_key(file, "alice")) as http:
        streamed = asyncio.create_task(http.get("/stream"))
        await asyncio.sleep(0.05)
        streamed.cancel()
        await asyncio.gather(streamed, return_exceptions=True)
        assert (await http.get("/seen")).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example.org", 403),
        ("127.0.0.1.evil.example.org:8000", 403),
        ("10.0.0.7:8000", 403),
        ("", 403),
    ],
)
async def test_without_keys_only_names_of_this_machine_are_answered(host: str, status: int) -> None:
    async with client(application(ServeSection())) as http:
        response = await http.get("/seen", headers={"Host": host})
        assert response.status_code == status
        if status == 403:
            assert "set serve.keys" in response.json()["error"]["message"]


async def test_every_response_carries_the_headers_refusals_too(file: Path) -> None:
    key = add_key(file, "alice")
    async with client(application(ServeSection(keys=file))) as http:
        responses = [await http.get(path) for path in ("/", "/docs", "/page/app.js", "/seen")]
        responses += [
            await http.get(path, headers={"Authorization": f"Bearer {key}"}) for path in ("/seen", "/absent", "/broken")
        ]
    assert [response.status_code for response in responses] == [200, 200, 200, 401, 200, 404, 500]
    for response in responses:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
    assert [response.headers["Cache-Control"] for response in responses] == ["no-cache"] * 3 + ["no-store"] * 4


async def test_other_origins_are_let_in_by_name_only(file: Path) -> None:
    key = add_key(file, "alice")
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    open_to = ServeSection(keys=file, cors_origins=("https://app.example.org",))
    for limits, origin, is_allowed in (
        (ServeSection(keys=file), "https://app.example.org", False),
        (open_to, "https://app.example.org", True),
        (open_to, "https://app.example.org.evil.example", False),
        (open_to, "null", False),
    ):
        async with client(application(limits), key=key) as http:
            asked = await http.options("/body", headers={"Origin": origin, **preflight})
            sent = await http.post("/body", content=b"1", headers={"Origin": origin})
        for response in (asked, sent):
            found = response.headers.get("Access-Control-Allow-Origin")
            assert found == (origin if is_allowed else None)
            assert "Access-Control-Allow-Credentials" not in response.headers
    assert sent.status_code == 200  # CORS is the browser's matter; the key decides here


async def test_a_body_that_dribbles_in_is_ended() -> None:
    async def dribble() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x"
            await asyncio.sleep(0.05)

    async with client(application(ServeSection(body_timeout_s=0.2))) as http:
        async with asyncio.timeout(2):
            response = await http.post("/body", content=dribble())
        assert response.status_code == 408
        assert response.json()["error"] == {"type": "body_too_slow", "message": "the body did not arrive within 0.2 s"}


async def test_a_slow_answer_to_a_quick_body_is_no_slow_body() -> None:
    api = application(ServeSection(body_timeout_s=0.05))
    async with client(api) as http:
        streamed = asyncio.create_task(http.get("/stream"))
        await asyncio.sleep(0.2)
        api.state.released.set()
        assert (await streamed).text == "firstlast"


async def test_websockets_are_closed_at_the_door() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/seen", "headers": [], "query_string": b"", "subprotocols": []}
    await application(ServeSection())(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
