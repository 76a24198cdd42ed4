"""Engines and retrievers come when many ask, and go when few do, at the cost of no request."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from steper_ray.config import load_config
from steper_ray.serve.run import serving
from tests.serve.replicas import process_id, replicas, running
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.slow]

MANY = 12
QUESTION = "Which show did Roy Clark host?"


@pytest.fixture(scope="module")
def url(ray_cluster: None, halsey: Path) -> Iterator[str]:
    overrides = [
        f"run.folder={halsey}",
        "student.backend=scripted",
        "student.scripted_latency_s=0.4",
        "serve.port=0",
        "serve.engine_replicas_max=3",
        "serve.engine_target_ongoing=4",
        "serve.retriever_replicas_max=2",
        "serve.retriever_target_ongoing=2",
        # A retriever that is stopped for a while is slow here, not dead.
        "serve.health_timeout_s=60",
        "serve.upscale_delay_s=1.5",
        "serve.downscale_delay_s=1.5",
    ]
    with serving(load_config(None, overrides)) as url:
        yield url


class Crowd:
    """Clients that ask one question after the other, as long as they are wanted."""

    def __init__(self, url: str) -> None:
        self._url, self._threads, self.wanted = url, list[threading.Thread](), 0
        self.seen = Counter[int]()

    def want(self, number: int) -> None:
        """So many ask from now on."""
        self.wanted = number
        while len(self._threads) < number:
            self._threads.append(threading.Thread(target=self._ask_on, args=(len(self._threads),)))
            self._threads[-1].start()

    def leave(self) -> None:
        """Nobody asks any more."""
        self.wanted = 0
        for thread in self._threads:
            thread.join()

    def _ask_on(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while number < self.wanted:
                self.seen[client.post("/v1/answer", json={"question": QUESTION}).status_code] += 1


def test_engines_come_with_the_questions_and_go_with_them_without_a_failed_one(url: str) -> None:
    crowd = Crowd(url)
    assert running("student") == 1
    try:
        crowd.want(MANY)
        wait_until(lambda: running("student") == 3, every_s=0.2)
        # The two that go have questions in flight.
        crowd.want(2)
        wait_until(lambda: running("student") == 1, every_s=0.2)
        before = crowd.seen[200]
        wait_until(lambda: crowd.seen[200] > before + 2)
    finally:
        crowd.leave()
    assert set(crowd.seen) == {200}, crowd.seen


def test_a_retriever_comes_where_searches_pile_up_and_goes_when_they_do_not(url: str) -> None:
    crowd = Crowd(url)
    # The questions of the test before may have brought another, which leaves.
    wait_until(lambda: running("retriever") == len(replicas("retriever")) == 1, every_s=0.2)
    [slow] = map(process_id, replicas("retriever"))
    os.kill(slow, signal.SIGSTOP)
    try:
        crowd.want(MANY)
        wait_until(lambda: running("retriever") == 2, every_s=0.2)
    finally:
        os.kill(slow, signal.SIGCONT)
        crowd.leave()
    assert set(crowd.seen) == {200}, crowd.seen
    wait_until(lambda: running("retriever") == 1, every_s=0.2)
    assert httpx.post(f"{url}/v1/answer", json={"question": QUESTION}).status_code == 200
