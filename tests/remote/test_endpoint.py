"""Posting to a real server: attempts, waits, the key, and addresses that are refused."""

import asyncio
import logging
import socket

import pytest
from pydantic import SecretStr

from steper_ray.backends.endpoint import Endpoint, check_url
from steper_ray.backends.endpoint_key import Key
from steper_ray.backends.rate_limit import RateLimit
from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError, ConfigError

SECRET = "sk-Very-Secret-1234567890"


class Naps(list[float]):
    """Remembers how long it was slept."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def naps() -> Naps:
    return Naps()


def endpoint(
    service, naps: Naps, *, retries: int = 3, timeout_s: float = 10.0, limit: RateLimit | None = None
) -> Endpoint:
    key = Key(SecretStr(SECRET), "file k")
    made = Endpoint(
        service.url,
        key,
        kind=FailureKind.ENDPOINT,
        timeout_s=timeout_s,
        retries=retries,
        connections=4,
        limit=limit,
        sleep=naps.sleep,
    )
    service.clients.append(made)
    return made


async def test_a_post_carries_the_key_and_the_body(service, naps) -> None:
    service.reply(200, {"fine": 1})
    service.url += "/v1/"
    reply = await endpoint(service, naps).post("/x", {"a": [1]})
    assert (reply.status, reply.json()) == (200, {"fine": 1})
    assert reply.seconds > 0
    (asked,) = service.asked
    assert (asked.path, asked.body, asked.headers["authorization"]) == ("/v1/x", {"a": [1]}, f"Bearer {SECRET}")
    assert naps == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
async def test_a_passing_trouble_is_tried_again_after_growing_waits(service, naps, status) -> None:
    service.reply(status, "busy")
    service.reply(status, "busy")
    service.reply(200, "{}")
    assert (await endpoint(service, naps).post("", {})).status == 200
    assert len(service.asked) == 3
    assert 0.5 <= naps[0] <= 1 <= naps[1] <= 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422])
async def test_what_another_attempt_would_not_change_is_returned_at_once(service, naps, status) -> None:
    service.reply(status, "no")
    assert (await endpoint(service, naps).post("", {})).status == status
    assert len(service.asked) == 1


async def test_an_empty_account_is_not_waited_for(service, naps) -> None:
    service.refuse(429, "You exceeded your current quota", "insufficient_quota")
    assert (await endpoint(service, naps).post("", {})).out_of_quota
    assert len(service.asked) == 1


async def test_retry_after_is_honoured_and_holds_back_others(service, naps) -> None:
    service.reply(429, "slow down", Retry_After="7")
    service.reply(200, "{}")
    queued = Naps()
    limit = RateLimit(clock=lambda: 0.0, sleep=queued.sleep)
    await endpoint(service, naps, limit=limit).post("", {})
    assert 7 <= naps[0] <= 7.5
    assert queued == [naps[0]]


async def test_used_up_attempts_are_an_error_of_the_kind_with_the_last_reply(service, naps) -> None:
    service.reply(503, "the  service\nrests")
    with pytest.raises(
        BackendError, match=rf"{service.url} answered 503: the service rests, after 4 attempts"
    ) as caught:
        await endpoint(service, naps).post("", {})
    assert caught.value.kind == FailureKind.ENDPOINT
    assert FailureKind(caught.value.kind).transient
    assert (len(service.asked), len(naps)) == (4, 3)


async def test_nobody_listening_is_tried_again_and_told(service, naps) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        service.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BackendError, match=r"did not answer: ConnectError .* after 2 attempts"):
        await endpoint(service, naps, retries=1).post("", {})


async def test_a_service_that_keeps_silent_is_tried_again(service, naps) -> None:
    service.reply(0)
    service.reply(200, "{}")
    assert (await endpoint(service, naps, timeout_s=0.3).post("", {})).status == 200
    assert len(service.asked) == 2


async def test_a_call_may_ask_for_fewer_attempts(service, naps) -> None:
    service.reply(500)
    with pytest.raises(BackendError, match=r"after 1 attempt$"):
        await endpoint(service, naps).post("", {}, most_retries=0)


async def test_cancelling_closes_the_request(service, naps) -> None:
    service.reply(0)
    call = asyncio.create_task(endpoint(service, naps).post("", {}))
    assert await asyncio.to_thread(service.arrived.wait, 10)
    assert not service.hung_up.is_set()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(service.hung_up.wait, 10)


async def test_the_key_is_in_no_log_error_or_reply(service, naps, caplog) -> None:
    service.reply(401, f"Incorrect API key provided: {SECRET}")
    service.reply(500, f"cannot reach the database with {SECRET}")
    with caplog.at_level(logging.DEBUG):
        one = endpoint(service, naps, retries=1)
        refused = await one.post("", {})
        with pytest.raises(BackendError) as caught:
            await one.post("", {})
    assert "HTTP Request: POST" in caplog.text
    assert refused.text == "Incorrect API key provided: [key]"
    shown = [caplog.text, repr(refused), str(caught.value), repr(caught.value), repr(one.key), repr(vars(one))]
    assert all(SECRET not in text for text in shown)


async def test_a_long_reply_is_shortened(service, naps) -> None:
    service.reply(400, "x" * 5000)
    reply = await endpoint(service, naps).post("", {})
    assert reply.shown() == "400: " + "x" * 300 + " …"


@pytest.mark.parametrize("url", ["http://host", "https://host:8443/v1", "http://[::1]:80/v1", "HTTP://host/x"])
def test_http_addresses_are_accepted(url) -> None:
    assert check_url(url, "teacher.url", "https://host/v1") == url


@pytest.mark.parametrize("url", [None, ""])
def test_a_missing_address_is_told_with_an_example(url) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.url is missing: .*such as https://host/v1"):
        check_url(url, "teacher.url", "https://host/v1")


@pytest.mark.parametrize(
    "url", ["host/v1", "ftp://host", "file:///x", "http://", "https:///v1", "http://h:x", "http://[::1"]
)
def test_an_address_that_cannot_be_posted_to_is_shown(url) -> None:
    with pytest.raises(ConfigError) as caught:
        check_url(url, "teacher.url", "https://host/v1")
    assert str(caught.value).endswith(f"found {url!r}")


@pytest.mark.parametrize(
    "url", ["https://me:hush@host/v1", "https://hush@host", "https://host/v1?key=hush", "http://h#hush", "//me:hush@h["]
)
def test_an_address_that_may_hold_a_key_is_refused_without_showing_it(url) -> None:
    with pytest.raises(ConfigError, match="must not hold a user, a query or a fragment") as caught:
        check_url(url, "teacher.url", "https://host/v1")
    assert "hush" not in str(caught.value)
