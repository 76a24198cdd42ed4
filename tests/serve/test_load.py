"""The service under load: redeployed, and asked for ten times what it can do."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from steper_ray.client import Client
from steper_ray.config import load_config
from steper_ray.errors import ConfigError, ServiceError, UserError
from steper_ray.serve.app import build_app
from steper_ray.serve.reload import reload
from steper_ray.serve.run import serving

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.slow]

QUESTION = "Which show did Roy Clark host?"
LATENCY_S = 0.1
IN_FLIGHT, QUEUED = 2 * 4, 8
"""Questions that the two loop replicas take, and that wait."""
DEADLINE_S = 30
SLOW_S = 1.0


@pytest.fixture(scope="module")
def settings(halsey: Path) -> list[str]:
    return [
        f"run.folder={halsey}",
        "student.backend=scripted",
        f"student.scripted_latency_s={LATENCY_S}",
        "serve.port=0",
        "serve.max_ongoing=4",
        f"serve.max_queued={QUEUED}",
        f"serve.deadline_s={DEADLINE_S}",
    ]


@pytest.fixture(scope="module")
def url(ray_cluster: None, settings: list[str]) -> Iterator[str]:
    with serving(load_config(None, settings)) as url:
        yield url


def test_a_reload_without_a_service_is_refused(ray_cluster: None, settings: list[str]) -> None:
    with pytest.raises(UserError, match="no application 'steper' runs on this cluster"):
        reload(load_config(None, settings))


def test_a_reload_that_old_and_new_replicas_would_misread_is_refused(url: str, settings: list[str]) -> None:
    before = httpx.get(f"{url}/readyz").status_code
    for other in ("student.context_tokens=512", "loop.layout=appended"):
        config = load_config(None, [*settings, other])
        for replace in (reload, build_app):
            with pytest.raises(ConfigError, match="the running service has") as found:
                replace(config)
            assert other.partition("=")[2] in str(found.value)
    assert before == httpx.get(f"{url}/readyz").status_code == 200


def test_openais_client_is_answered_by_the_running_service(url: str) -> None:
    ask = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    [model] = ask.models.list().data
    messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
    found = ask.chat.completions.create(model=model.id, messages=messages)
    assert found.choices[0].message.content == f"answer to {found.id}"
    chunks = list(ask.chat.completions.create(model=model.id, messages=messages, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == f"answer to {chunks[0].id}"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_ten_times_too_many_questions_get_an_answer_or_a_clean_refusal(url: str) -> None:
    clients = 10 * IN_FLIGHT
    accepted: list[dict[str, Any]] = []

    def ask(number: int) -> str:
        try:
            with Client(url) as client:
                if number % 2:
                    accepted.append(client.answer(QUESTION, id=f"q{number}"))
                else:
                    name, last = list(client.stream(QUESTION, id=f"q{number}"))[-1]
                    assert name == "answer"
                    accepted.append(last)
        except ServiceError as error:
            return f"{error.type}, again in {error.retry_after_s} s"
        return "answered"

    with ThreadPoolExecutor(clients) as pool:
        found = Counter(pool.map(ask, range(clients)))
    assert set(found) == {"answered", "overloaded, again in 1 s"}, found
    assert found["answered"] >= IN_FLIGHT
    for answer in accepted:
        # The service's own clock: eighty clients on the same cores have a slower one.
        assert answer["timings"]["total_s"] <= bound_s(answer, DEADLINE_S)


def bound_s(answer: dict[str, Any], deadline_s: float) -> float:
    """The longest that an accepted question may take: its deadline, and the longest of its own steps."""
    return deadline_s + max(step["usage"]["seconds"] for step in answer["steps"])


def test_a_reload_under_load_and_the_way_back_fail_no_request(url: str, settings: list[str]) -> None:
    done, failed, ended = list[int](), list[str](), threading.Event()

    def ask_on(number: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not ended.is_set():
                response = client.post("/v1/answer", json={"question": QUESTION, "id": f"r{number}"})
                if response.status_code == 200:
                    done.append(len(response.json()["steps"]))
                else:
                    failed.append(response.text)

    threads = [threading.Thread(target=ask_on, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        reload(load_config(None, [*settings, "student.scripted_steps=2"]))
        time.sleep(1)
        upgraded = len(done)
        reload(load_config(None, settings))
        time.sleep(1)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert set(done) <= {2, 3}
    assert done[:upgraded].count(3) >= 4
    assert done[upgraded - 4 : upgraded] == [2] * 4
    assert done[-4:] == [3] * 4


def test_a_student_too_slow_for_the_load_answers_with_what_there_is_when_time_is_up(
    url: str, settings: list[str]
) -> None:
    """Five steps of a second or so would be needed, four seconds are given, and ten times too many ask."""
    reload(load_config(None, [*settings, f"student.scripted_latency_s={SLOW_S}", "student.scripted_steps=5"]))
    bodies = [{"question": QUESTION, "id": f"s{number}", "deadline_s": 4 * SLOW_S} for number in range(10 * IN_FLIGHT)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        found = list(pool.map(lambda body: httpx.post(f"{url}/v1/answer", json=body, timeout=60), bodies))
    assert {response.status_code for response in found} <= {200, 503, 504}
    accepted = [response.json() for response in found if response.status_code == 200]
    assert len(accepted) >= IN_FLIGHT / 2
    assert sum(answer["partial"] for answer in accepted) >= len(accepted) / 2
    for answer in accepted:
        assert answer["timings"]["total_s"] <= bound_s(answer, 4 * SLOW_S)


def test_a_stream_that_is_open_during_a_reload_is_finished_by_the_new_engine(url: str, settings: list[str]) -> None:
    """The old engine would answer in the fifth step of some three seconds each, the new one does from the second on."""
    settings = [*settings, "serve.deadline_s=120"]
    reload(load_config(None, [*settings, "student.scripted_latency_s=3", "student.scripted_steps=5"]))
    writing, events = threading.Event(), list[tuple[str, dict[str, Any]]]()

    def follow() -> None:
        with Client(url) as client:
            for event in client.stream(QUESTION, id="open"):
                events.append(event)
                if event[0] == "rationale":
                    writing.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert writing.wait(60)
    reload(load_config(None, [*settings, "student.scripted_steps=2"]))
    thread.join()
    assert "step_restarted" not in [name for name, _ in events]
    name, answer = events[-1]
    assert name == "answer", events[-1]
    assert (answer["answer"], answer["partial"]) == ("answer to open", False)
    assert 2 <= len(answer["steps"]) < 5
