"""The language model behind an endpoint, against a real HTTP server."""

import asyncio
import json
import logging
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from steper_ray.backends.endpoint import Endpoint
from steper_ray.backends.endpoint_key import read_key
from steper_ray.backends.interfaces import LanguageModel, Request
from steper_ray.backends.openai import OpenAIModel
from steper_ray.backends.rate_limit import RateLimit
from steper_ray.backends.reply import FATAL_IN_A_ROW
from steper_ray.config import load_config
from steper_ray.core.types import FailureKind, Message, Prompt
from steper_ray.errors import BackendError, ConfigError, EnvironmentFault
from steper_ray.runs import open_folder
from steper_ray.sections.model import ModelSection

SECRET = "sk-Very-Secret-1234567890"
REQUEST = Request(Prompt((Message("user", "Who?"),)), (), max_tokens=128, stop=("\n",))
FORCED = replace(REQUEST, prompt=Prompt(REQUEST.prompt.messages, "So the answer is:"))
USAGE = {
    "prompt_tokens": 90,
    "completion_tokens": 7,
    "total_tokens": 97,
    "prompt_tokens_details": {"cached_tokens": 64},
}


@pytest.fixture(autouse=True)
def key(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


def section(service, **values) -> ModelSection:
    return ModelSection(backend="openai", url=f"{service.url}/v1", endpoint_model="big", **values)


def model(service, *, limit: RateLimit | None = None, **values) -> OpenAIModel:
    async def no_nap(seconds: float) -> None:
        pass

    about, limit = section(service, **values), limit or RateLimit()
    endpoint = Endpoint(
        about.url or "",
        read_key(about.key_file, about.key_variable, "teacher"),
        kind=FailureKind.ENDPOINT,
        timeout_s=10,
        retries=1,
        connections=4,
        limit=limit,
        sleep=no_nap,
    )
    service.clients.append(endpoint)
    return OpenAIModel(endpoint, about, limit)


async def failure(service, request: Request = REQUEST, **values) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await model(service, **values).complete(request)
    return caught.value


async def test_a_completion_brings_text_and_counted_tokens(service) -> None:
    service.write("Roy Clark hosted Hee Haw.", usage=USAGE)
    remote: LanguageModel = model(service)
    completion = await remote.complete(REQUEST)
    assert completion.text == "Roy Clark hosted Hee Haw."
    usage = completion.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (90, 64, 7)
    assert usage.seconds > 0
    (asked,) = service.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert (asked.body["model"], asked.body["max_tokens"], asked.body["temperature"]) == ("big", 128, 0.0)
    await remote.close()


async def test_a_base_model_is_asked_for_a_continuation_of_text(service) -> None:
    service.write(" Hee Haw.", api="completions")
    completion = await model(service, endpoint_api="completions").complete(FORCED)
    assert completion.text == " Hee Haw."
    assert service.asked[0].path == "/v1/completions"
    assert service.asked[0].body["prompt"] == "Who?\n\nRationale:\nSo the answer is:"


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 3, "prompt_tokens_details": None}])
async def test_tokens_that_were_not_counted_are_zero(service, usage) -> None:
    service.write("x", usage=usage)
    counted = (await model(service).complete(REQUEST)).usage
    assert (counted.cached_tokens, counted.completion_tokens) == (0, 0)


@pytest.mark.parametrize(
    ("written", "text"),
    [("A fact.\nAnother.", "A fact."), (None, ""), ("", ""), (" So the answer is: x", " So the answer is: x")],
)
async def test_the_text_ends_before_the_stop_text(service, written, text) -> None:
    service.write(written)
    assert (await model(service).complete(REQUEST)).text == text


@pytest.mark.parametrize("written", [" Hee Haw.", "So the answer is: Hee Haw.", "\n So the answer is: Hee Haw.\nMore"])
async def test_a_continuation_that_the_endpoint_repeats_is_not_part_of_the_text(service, written) -> None:
    service.write(written)
    assert (await model(service).complete(FORCED)).text == " Hee Haw."


async def test_no_key_is_sent_where_none_is_wanted(service) -> None:
    service.write("x")
    await model(service, key_variable=None).complete(REQUEST)
    assert "authorization" not in service.asked[0].headers


async def test_an_endpoint_that_cannot_continue_is_found_out_once(service) -> None:
    service.refuse(422, "Extra inputs are not permitted: continue_final_message")
    service.write("Hee Haw.")
    remote = model(service)
    await remote.complete(FORCED)
    await remote.complete(FORCED)
    assert ["continue_final_message" in asked.body for asked in service.asked] == [True, False, False]


async def test_a_refusal_of_both_ways_to_continue_is_not_remembered(service) -> None:
    service.refuse(400, "no violence")
    service.refuse(400, "no violence")
    service.write("Hee Haw.")
    remote = model(service)
    with pytest.raises(BackendError):
        await remote.complete(FORCED)
    await remote.complete(FORCED)
    assert ["continue_final_message" in asked.body for asked in service.asked] == [True, False, True]


async def test_the_other_name_of_the_token_limit_is_found_out_once(service) -> None:
    service.refuse(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    service.write("x")
    remote = model(service)
    await remote.complete(REQUEST)
    await remote.complete(FORCED)
    assert ["max_tokens" in asked.body for asked in service.asked] == [True, False, False]
    assert service.asked[2].body["max_completion_tokens"] == 128


async def test_a_prompt_beyond_the_context_is_too_long_and_sent_once(service) -> None:
    service.refuse(400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded")
    error = await failure(service, FORCED)
    assert error.kind == FailureKind.PROMPT_TOO_LONG
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [400, 422])
async def test_an_invalid_request_is_refused_for_good(service, status) -> None:
    service.refuse(status, "The response was filtered by our content policy", "content_filter")
    error = await failure(service)
    assert error.kind == FailureKind.REFUSED
    assert "content policy" in str(error)
    assert not FailureKind(error.kind).transient


async def test_a_filtered_completion_is_refused(service) -> None:
    service.write("", finish="content_filter")
    assert (await failure(service)).kind == FailureKind.REFUSED
    service.reply(200, {"choices": [{"message": {"content": None, "refusal": "I cannot"}, "finish_reason": "stop"}]})
    service.replies.pop(0)
    assert "I cannot" in str(await failure(service))


async def test_used_up_attempts_are_transient(service) -> None:
    service.reply(503, "busy")
    error = await failure(service)
    assert error.kind == FailureKind.ENDPOINT
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    "reply",
    [
        "<html>login</html>",
        "[]",
        "null",
        {"choices": []},
        {"choices": [{"message": None}]},
        {"choices": [{"text": "x"}]},
        {"choices": [{"message": {"content": ["x"]}}]},
        {"choices": [{"message": {"content": "x"}}], "usage": [1]},
        {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}},
    ],
)
async def test_a_reply_of_another_form_is_the_endpoints_fault(service, reply) -> None:
    service.reply(200, reply)
    assert (await failure(service)).kind == FailureKind.ENDPOINT


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_key_refused_again_and_again_ends_the_run(service, status) -> None:
    service.refuse(status, "no such thing")
    remote = model(service)
    for _ in range(FATAL_IN_A_ROW - 1):
        with pytest.raises(BackendError) as caught:
            await remote.complete(REQUEST)
        assert caught.value.kind == FailureKind.ENDPOINT
    with pytest.raises(EnvironmentFault, match=rf"{status}.*no such thing.*same command again"):
        await remote.complete(REQUEST)


async def test_a_good_reply_between_starts_the_count_anew(service) -> None:
    remote = model(service)
    for _ in range(2):
        service.replies.clear()
        service.refuse(403, "flagged")
        for _ in range(FATAL_IN_A_ROW - 1):
            with pytest.raises(BackendError):
                await remote.complete(REQUEST)
        service.replies.clear()
        service.write("x")
        await remote.complete(REQUEST)


async def test_limits_are_charged_by_estimate_and_corrected_by_the_count(service) -> None:
    service.write("x", usage=USAGE)
    limit = RateLimit(None, 600, clock=lambda: 0.0)
    await model(service, limit=limit).complete(REQUEST)
    assert limit.reserve(0) == pytest.approx(9.7)  # 97 tokens at 10 a second


async def test_cancelling_a_completion_closes_its_request(service) -> None:
    service.reply(0)
    call = asyncio.create_task(model(service).complete(REQUEST))
    assert await asyncio.to_thread(service.arrived.wait, 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(service.hung_up.wait, 10)


async def test_the_trial_uses_the_settings_of_the_run(service) -> None:
    service.write("Yes.")
    await model(service, temperature=0.7).check()
    assert service.asked[0].body["temperature"] == 0.7


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, r"teacher\.key_file or teacher\.key_variable"),
        (403, "what this key may use"),
        (404, r"teacher\.url .* and teacher\.endpoint_model"),
        (307, r"teacher\.url"),
    ],
)
async def test_a_trial_names_address_model_key_source_and_remedy_but_no_key(service, status, remedy) -> None:
    service.refuse(status, f"bad key {SECRET}")
    with pytest.raises(ConfigError, match=remedy) as caught:
        await model(service).check()
    told = str(caught.value)
    assert f"{service.url}/v1 does not serve model big" in told
    assert "environment variable OPENAI_API_KEY" in told
    assert "bad key [key]" in told
    assert SECRET not in told


async def test_an_empty_account_ends_the_trial(service) -> None:
    service.refuse(429, "You exceeded your current quota", "insufficient_quota")
    with pytest.raises(ConfigError, match="check the account's quota"):
        await model(service).check()


async def test_a_setting_that_the_endpoint_refuses_ends_the_trial(service) -> None:
    service.refuse(400, "'temperature' does not support 0 with this model")
    with pytest.raises(ConfigError, match=r"refuses a trial request .*temperature 0\).*does not support 0"):
        await model(service).check()


async def test_a_service_that_is_down_or_another_ends_the_trial_with_a_remedy(service) -> None:
    service.reply(503, "starting")
    with pytest.raises(EnvironmentFault, match=r"503: starting.*Check that teacher\.url=http"):
        await model(service).check()
    service.reply(200, "<html>welcome</html>")
    service.replies.pop(0)
    with pytest.raises(EnvironmentFault, match="is no completion: 200: <html>welcome"):
        await model(service).check()


async def test_the_key_is_in_no_log_error_repr_or_config(service, tmp_path: Path, caplog) -> None:
    service.refuse(401, f"wrong key {SECRET}")
    config = load_config(overrides=["teacher.backend=openai", f"teacher.url={service.url}", "teacher.endpoint_model=m"])
    with caplog.at_level(logging.DEBUG):
        remote = OpenAIModel.load(config.teacher, in_flight=2)
        service.clients.append(remote)
        with pytest.raises(BackendError) as caught:
            await remote.complete(REQUEST)
    written = (open_folder(tmp_path / "run", config) / "config.json").read_text()
    assert json.loads(written)["teacher"]["key_variable"] == "OPENAI_API_KEY"
    shown = [caplog.text, str(caught.value), repr(caught.value), repr(remote), repr(vars(remote)), written]
    shown += [repr(vars(remote._endpoint)), repr(config), str(pickle.dumps(caught.value))]
    assert caplog.text
    assert all(SECRET not in text for text in shown)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url": None}, r"student\.url is missing"),
        ({"url": "host:80/v1"}, r"student\.url must be an http or https address"),
        ({"endpoint_model": None}, r"student\.endpoint_model is missing"),
        ({"key_variable": "NOT_SET_ANYWHERE"}, r"NOT_SET_ANYWHERE \(student\.key_variable\) is not set"),
        ({"key_file": Path("absent")}, r"student\.key_file: cannot read absent"),
    ],
)
def test_an_incomplete_section_is_refused_before_anything_is_sent(values, message) -> None:
    good = {"backend": "openai", "url": "http://host/v1", "endpoint_model": "m"}
    with pytest.raises(ConfigError, match=message):
        OpenAIModel.load(ModelSection(**(good | values)), role="student")
