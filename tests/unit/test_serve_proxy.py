"""What Serve's proxy is given of a request's headers."""

from typing import Any

import httpx
import pytest
from ray.serve._private import constants
from ray.serve._private.http_util import _apply_middlewares, validate_http_proxy_callback_return
from ray.serve._private.proxy import HTTPProxy
from ray.serve._private.proxy_request_response import ASGIProxyRequest
from ray.serve._private.utils import call_function_from_import_path

from steper_ray.drive.cluster import SERVE_SETTINGS
from steper_ray.serve.proxy import STEERING, ProxyDoor, cleaned, middleware
from tests.unit.local_service import Service, plan_of

ID = b"x-request-id"
KEY = (b"authorization", b"Bearer \xff")


@pytest.mark.parametrize(
    "name",
    [
        b"x-request-timeout-seconds",
        b"X-Request-Disconnect-Disabled",
        b"serve_multiplexed_model_id",
        b"serve-multiplexed-model-id",
        b"X-Session-Id",
        b"x_session_id",
    ],
)
def test_headers_that_steer_the_proxy_are_left_out(name: bytes) -> None:
    assert cleaned([KEY, (name, b"?1"), (ID, b"a")]) == [KEY, (ID, b"a")]


def test_every_header_that_ray_reads_by_itself_is_known() -> None:
    read = (
        constants.SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
        constants.SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER,
        constants.SERVE_MULTIPLEXED_MODEL_ID,
        constants.SERVE_SESSION_ID,
    )
    assert {name.lower().replace("-", "_").encode() for name in read} == STEERING
    assert constants.SERVE_HTTP_REQUEST_ID_HEADER.encode() == ID


@pytest.mark.parametrize("ids", [[b"\xff"], [b""], [b"a b"], [b"x" * 129], [b"a", b"\xff"], [b"\xff", b"a"]])
def test_an_id_that_is_not_valid_becomes_an_empty_one_which_the_application_refuses(ids: list[bytes]) -> None:
    assert cleaned([*((b"X-Request-ID", id) for id in ids), KEY]) == [KEY, (ID, b"")]


@pytest.mark.parametrize("name", [b"x-request-id", b"serve_multiplexed_model_id", b"x-session-id"])
def test_rays_own_proxy_trips_over_what_is_cleaned_and_not_over_the_rest(name: bytes) -> None:
    class Handle:
        def options(self, **_: Any) -> "Handle":
            return self

    def read(headers: list[tuple[bytes, bytes]]) -> None:
        asked = ASGIProxyRequest({"type": "http", "headers": headers}, None, None)  # type: ignore[arg-type]
        HTTPProxy.setup_request_context_and_handle(None, "app", Handle(), "/", asked, "1")  # type: ignore[arg-type]

    headers = [(ID, b"fine")] * (name != ID) + [KEY, (name, b"\xff")]
    with pytest.raises(UnicodeDecodeError):
        read(headers)
    read(cleaned(headers))


async def test_inside_of_rays_middleware_the_application_refuses_what_is_left_of_a_bad_id() -> None:
    app = _apply_middlewares(Service(plan_of()).api, middleware())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
        bad = await client.get("/v1/models", headers=[(ID, b"\xff"), (b"x-session-id", b"\xff")])
        good = await client.get("/v1/models", headers=[(ID, b"abc"), (b"x-session-id", b"\xff")])
    assert (bad.status_code, bad.json()["error"]["type"]) == (422, "invalid_request")
    assert good.status_code == 200


def test_a_trace_is_passed_on_where_it_is_ascii() -> None:
    trace = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    assert cleaned([trace]) == [trace]
    assert cleaned([(b"traceparent", b"\xff")]) == []


@pytest.mark.parametrize("type", ["http", "websocket"])
async def test_the_request_is_passed_on_and_its_own_scope_left_as_it_was(type: str) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = {"type": type, "path": "/", "headers": [(b"x-session-id", b"\xff")]}
    await ProxyDoor(app)(scope, None, None)  # type: ignore[arg-type]
    assert seen == [{"type": type, "path": "/", "headers": []}]
    assert scope["headers"] == [(b"x-session-id", b"\xff")]


async def test_what_has_no_headers_is_passed_on() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    await ProxyDoor(app)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == [{"type": "lifespan"}]


def test_serve_finds_the_hook_where_our_settings_say() -> None:
    path = SERVE_SETTINGS["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"]
    (found,) = validate_http_proxy_callback_return(call_function_from_import_path(path))
    assert found.cls is ProxyDoor
