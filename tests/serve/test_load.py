"""The service under load: redeployed, and asked for ten times what it can do."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from steper_ray.client import Client
from steper_ray.config import load_config
from steper_ray.errors import ServiceError, UserError
from steper_ray.serve.reload import reload
from steper_ray.serve.run import serving

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.slow]

QUESTION = "Which show did Roy Clark host?"
LATENCY_S = 0.1
IN_FLIGHT, QUEUED = 2 * 4, 8
"""Questions that the two loop replicas take, and that wait."""


@pytest.fixture(scope="module")
def settings(halsey: Path) -> list[str]:
    return [
        f"run.folder={halsey}",
        "student.backend=scripted",
        f"student.scripted_latency_s={LATENCY_S}",
        "serve.port=0",
        "serve.max_ongoing=4",
        f"serve.max_queued={QUEUED}",
        "serve.deadline_s=30",
    ]


@pytest.fixture(scope="module")
def url(ray_cluster: None, settings: list[str]) -> Iterator[str]:
    with serving(load_config(None, settings)) as url:
        yield url


def test_a_reload_without_a_service_is_refused(ray_cluster: None, settings: list[str]) -> None:
    with pytest.raises(UserError, match="no application 'steper' runs on this cluster"):
        reload(load_config(None, settings))


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
    spent: list[float] = []

    def ask(number: int) -> str:
        started = time.monotonic()
        try:
            with Client(url) as client:
                if number % 2:
                    client.answer(QUESTION, id=f"q{number}")
                else:
                    assert list(client.stream(QUESTION, id=f"q{number}"))[-1][0] == "answer"
        except ServiceError as error:
            return f"{error.type}, again in {error.retry_after_s} s"
        spent.append(time.monotonic() - started)
        return "answered"

    with ThreadPoolExecutor(clients) as pool:
        found = Counter(pool.map(ask, range(clients)))
    assert set(found) == {"answered", "overloaded, again in 1 s"}, found
    assert found["answered"] >= IN_FLIGHT
    # What is accepted waits for at most the questions before it; most of the rest is eighty clients on two cores.
    assert max(spent) < 20


def test_a_reload_under_load_fails_no_request(url: str, settings: list[str]) -> None:
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
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert set(done) <= {2, 3}
    assert done[-4:] == [2] * 4
    assert done.count(3) >= 4
