"""How remote backends enter a run: checks, fingerprint, shares of limits, and the loop itself."""

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from steper_ray.backends.openai import OpenAIModel
from steper_ray.core.prompts import build_prompt
from steper_ray.core.types import FailureKind, Layout, LoopSettings, Passage, Question, StopReason, Target
from steper_ray.drive.driver import LoopDriver
from steper_ray.drive.fingerprint import fingerprint_of
from steper_ray.drive.job import check_model, load_chat, load_model
from steper_ray.drive.load import Load
from steper_ray.drive.prepare import checked, prepare
from steper_ray.drive.stats import LoopStats
from steper_ray.errors import BackendError, ConfigError, EnvironmentFault, InputError
from steper_ray.sections.model import ModelSection
from steper_ray.sections.shared import RetrieverSection

FOUND = {"results": [[{"id": "a", "title": "A", "text": "t"}]]}


@dataclass
class Crew:
    actors: int = 2
    actors_max: int | None = None
    in_flight: int = 8
    retrievers: int = 1
    step_timeout_s: float = 300.0
    outage_s: float = 3600.0


class Shelf:
    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        return (Passage(query, "T", "text"),)


def teacher(service, **values) -> ModelSection:
    good = {"backend": "openai", "url": f"{service.url}/v1", "endpoint_model": "big", "key_variable": None}
    return ModelSection(**(good | values))


def search(service, **values) -> RetrieverSection:
    return RetrieverSection(**({"backend": "http", "url": f"{service.url}/search", "name": "wiki"} | values))


def prepared(service, model: ModelSection, crew: Crew | None = None, **values):
    return prepare(
        model,
        LoopSettings(),
        Path("no-index"),
        crew or Crew(),
        seed=0,
        force_answer=False,
        retriever=search(service, **values),
    )


def fingerprint(service, model: ModelSection, **values) -> str:
    return fingerprint_of(prepared(service, model, **values)[1])


def test_a_checked_teacher_was_tried_and_finds_its_key_from_elsewhere(service, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("key").write_text("sk-1")
    Path("key").chmod(0o600)
    service.write("Yes.")
    assert checked(teacher(service, key_file="key"), "teacher").key_file == tmp_path / "key"
    assert len(service.asked) == 1


async def test_a_teacher_can_be_checked_where_an_event_loop_runs(service) -> None:
    service.write("Yes.")
    assert checked(teacher(service), "teacher").backend == "openai"


def test_a_teacher_whose_key_is_refused_ends_the_command(service) -> None:
    service.refuse(401, "who are you?")
    with pytest.raises(ConfigError, match=r"with no key: 401: .*check teacher\.key_file"):
        checked(teacher(service), "teacher")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url": None}, r"^student\.url is missing"),
        ({"url": "gopher://host"}, r"^student\.url must be an http or https address"),
        ({"endpoint_model": None}, r"^student\.endpoint_model is missing"),
        ({"key_variable": "NOT_SET_ANYWHERE"}, r"NOT_SET_ANYWHERE \(student\.key_variable\)"),
    ],
)
def test_an_incomplete_role_is_refused_without_a_call(service, values, message) -> None:
    with pytest.raises(ConfigError, match=message):
        check_model(teacher(service, **values), "student")
    assert service.asked == []


def test_a_folder_for_measuring_needs_a_tokenizer_alone(service, tmp_path) -> None:
    with pytest.raises(InputError, match="no tokenizer"):
        check_model(teacher(service, model=tmp_path), "teacher")
    (tmp_path / "tokenizer.json").write_text("{}")
    check_model(teacher(service, model=tmp_path), "teacher")


def test_a_base_model_behind_an_endpoint_cannot_write_cumulative_targets(service) -> None:
    how = LoopSettings(layout=Layout.APPENDED, target=Target.CUMULATIVE)
    with pytest.raises(ConfigError, match=r"endpoint_api=completions .* use loop\.target=step"):
        load_chat(teacher(service, endpoint_api="completions"), how)
    assert load_chat(teacher(service), how) is None


def test_the_role_is_filled_by_the_endpoint(service) -> None:
    model = load_model(teacher(service, context_tokens=99), 0, None)
    assert isinstance(model, OpenAIModel)
    assert model.context_tokens == 99
    asyncio.run(model.close())


def test_the_fingerprint_knows_model_and_service_by_name_and_not_by_address(service) -> None:
    service.reply(200, FOUND)
    before = fingerprint(service, teacher(service))
    same = [
        fingerprint(service, teacher(service, url="http://elsewhere/v1", endpoint_retries=1, tokens_per_minute=9999)),
        fingerprint(service, teacher(service), timeout_s=3, retries=0),
    ]
    other = [
        fingerprint(service, teacher(service, endpoint_model="small")),
        fingerprint(service, teacher(service, endpoint_api="completions")),
        fingerprint(service, teacher(service, temperature=0.5)),
        fingerprint(service, teacher(service), name="news"),
        fingerprint(service, teacher(service), name=None),
    ]
    assert set(same) == {before}
    assert len({before, *other}) == 6


def test_a_search_service_needs_no_index_and_is_tried(service) -> None:
    service.reply(200, FOUND)
    job, parts = prepared(service, teacher(service))
    assert parts["index"] == {"service": "wiki"}
    assert parts["model"] == {"backend": "openai", "endpoint": "big", "api": "chat"}
    assert (job.retriever.backend, job.retriever.url) == ("http", f"{service.url}/search")
    assert [asked.path for asked in service.asked] == ["/search"]
    assert json.dumps(parts)


def test_engines_that_wait_for_a_search_service_are_not_helped_by_retriever_actors(service) -> None:
    service.reply(200, FOUND)
    job, _ = prepared(service, teacher(service))
    slow = LoopStats(search_s=9.0, steps=1, loads=[Load(20.0, 1.0, 10)], quicker_search=job.quicker_search)
    assert slow.starvation().endswith("Try a quicker search service, or a higher retriever.requests or retriever.batch")
    assert replace(job, retriever=RetrieverSection()).quicker_search == "more retrievers"


def test_a_search_service_that_is_down_ends_the_command(service) -> None:
    service.reply(503, "resting", Retry_After="0")
    with pytest.raises(EnvironmentFault, match=r"a trial search failed: .*503: resting"):
        prepared(service, teacher(service), retries=0)


def test_each_actor_gets_its_share_of_the_limits(service) -> None:
    service.reply(200, FOUND)
    job, _ = prepared(service, teacher(service, requests_per_minute=60, tokens_per_minute=9000), Crew(actors=4))
    assert (job.model.requests_per_minute, job.model.tokens_per_minute) == (15, 2250)
    job, _ = prepared(service, teacher(service), Crew(actors=4))
    assert (job.model.requests_per_minute, job.model.tokens_per_minute) == (None, None)


def test_a_queue_that_no_step_survives_is_refused(service) -> None:
    service.reply(200, FOUND)
    slow = teacher(service, requests_per_minute=4)
    message = r"16 questions in flight wait up to 240 s .* longer than step_timeout_s=200; lower in_flight"
    with pytest.raises(ConfigError, match=message):
        prepared(service, slow, Crew(step_timeout_s=200))
    prepared(service, slow, Crew(step_timeout_s=241))


def test_a_queue_that_waits_too_long_for_its_tokens_is_refused_as_well(service) -> None:
    service.reply(200, FOUND)
    # 128 tokens of rationale, and the instruction at four characters a token.
    prompt = build_prompt(Question("", ""), (), (), LoopSettings())
    tokens = 128 + sum(len(message.content) for message in prompt.messages) // 4
    slow = teacher(service, tokens_per_minute=16 * tokens / 4)  # 16 questions use up four minutes
    message = (
        rf"tokens_per_minute=.*, 16 questions in flight of at least {tokens} tokens wait up to 240 s .*=200; lower"
    )
    with pytest.raises(ConfigError, match=message):
        prepared(service, slow, Crew(step_timeout_s=200))
    prepared(service, slow, Crew(step_timeout_s=241))


def test_engines_that_share_a_limit_start_together_since_each_holds_its_share(service) -> None:
    service.reply(200, FOUND)
    crew = Crew(actors=1, actors_max=3, in_flight=4)
    limited = teacher(service, requests_per_minute=60)
    assert [prepared(service, model, crew)[0].actors for model in (limited, teacher(service))] == [3, 1]


@pytest.mark.parametrize(
    ("replies", "seconds", "words"),
    [
        ([(429, {"Retry_After": "60"})], 2, r"answered 429: slow down, after 1 attempt$"),
        ([(0, {})], 0.3, r"the first attempt was not answered$"),
        ([(503, {"Retry_After": "0"}), (0, {})], 2, r"answered 503: slow down, after 1 attempt$"),
    ],
)
async def test_a_time_out_tells_what_the_endpoint_said_last(service, replies, seconds, words) -> None:
    for status, headers in replies:
        service.reply(status, "slow down", **headers)
    model = OpenAIModel.load(teacher(service))
    service.clients.append(model)
    driver = LoopDriver(LoopSettings(), model, Shelf(), step_timeout_s=seconds)
    with pytest.raises(BackendError, match=rf"^no completion within {seconds} s: .*{words}") as caught:
        await driver.run(Question("q", "Who?"))
    assert caught.value.kind == FailureKind.TIMEOUT


async def test_a_time_out_before_its_turn_names_the_limit(service) -> None:
    service.write("Roy Clark hosted it.")
    model = OpenAIModel.load(teacher(service, requests_per_minute=1))
    service.clients.append(model)
    driver = LoopDriver(LoopSettings(), model, Shelf(), step_timeout_s=0.5)
    with pytest.raises(
        BackendError, match=r"^no completion within 0\.5 s: its turn under the limits per minute had not"
    ):
        await driver.run(Question("q", "Who?"))
    assert len(service.asked) == 1


async def test_the_seconds_of_a_step_count_the_waits_between_attempts(service) -> None:
    service.reply(503, "busy", Retry_After="1")
    service.write("Roy Clark hosted it.")
    service.write("So the answer is: Hee Haw.")
    model = OpenAIModel.load(teacher(service))
    service.clients.append(model)
    first, _ = (await LoopDriver(LoopSettings(), model, Shelf()).run(Question("q", "Who?"))).steps
    assert 1.0 <= first.usage.seconds < 10


async def test_the_loop_drives_an_endpoint_to_an_answer(service) -> None:
    service.write("Roy Clark hosted it.\nAnd more.")
    service.write("So the answer is: Hee Haw.")
    model = OpenAIModel.load(teacher(service))
    service.clients.append(model)
    trajectory = await LoopDriver(LoopSettings(), model, Shelf()).run(Question("q", "Who?"))
    assert (trajectory.answer, trajectory.stop) == ("Hee Haw", StopReason.ANSWERED)
    assert [step.rationale for step in trajectory.steps] == ["Roy Clark hosted it.", "So the answer is: Hee Haw."]
    assert [message["role"] for message in service.asked[1].body["messages"]] == ["user", "assistant", "user"]


async def test_a_forced_answer_that_an_endpoint_repeats_is_read_once(service) -> None:
    service.write("A fact.")
    service.write("So the answer is: Hee Haw.")
    model = OpenAIModel.load(teacher(service))
    service.clients.append(model)
    driver = LoopDriver(LoopSettings(step_limit=1), model, Shelf(), force_answer=True)
    trajectory = await driver.run(Question("q", "Who?"))
    assert (trajectory.answer, trajectory.stop) == ("Hee Haw", StopReason.FORCED_ANSWER)
    assert trajectory.steps[-1].rationale == "So the answer is: Hee Haw."
