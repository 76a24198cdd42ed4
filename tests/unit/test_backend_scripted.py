import asyncio
import pickle
from statistics import median

import pytest

from steper_ray.backends.interfaces import LanguageModel, Request
from steper_ray.backends.scripted import ScriptedModel, answer_after, log_normal_latency, request_key
from steper_ray.core.types import FailureKind, Prompt, Usage
from steper_ray.errors import BackendError


def ask(question_id: str = "q", step: int = 1, path: int = 0, stop: tuple[str, ...] = ()) -> Request:
    return Request(Prompt(()), (1, 2, 3), max_tokens=8, stop=stop, question_id=question_id, path=path, step=step)


async def test_the_default_script_reasons_twice_and_answers_in_the_third_step() -> None:
    model: LanguageModel = ScriptedModel()
    texts = [(await model.complete(ask(step=step))).text for step in (1, 2, 3, 4)]
    answer = "So the answer is: answer to q"
    assert texts == ["Passage 1 says something about q.", "Passage 2 says something about q.", answer, answer]


async def test_text_ends_before_the_earliest_stop_text() -> None:
    model = ScriptedModel(lambda request: "one two\nthree. four")
    completion = await model.complete(ask(stop=(".", "\n")))
    assert completion.text == "one two"
    assert completion.usage == Usage(prompt_tokens=3, completion_tokens=2)


async def test_only_the_named_request_fails_and_with_the_kind_given() -> None:
    model = ScriptedModel(failures={"q#1#2": FailureKind.ENDPOINT})
    for request in (ask(step=2), ask(path=1, step=1), ask("r", path=1, step=2)):
        await model.complete(request)
    for _ in range(2):
        with pytest.raises(BackendError, match="q#1#2") as caught:
            await model.complete(ask(path=1, step=2))
        assert caught.value.kind == FailureKind.ENDPOINT


def test_latency_depends_on_seed_and_request_alone() -> None:
    requests = [ask(f"q{number}") for number in range(400)]
    seconds = [log_normal_latency(0.2, 0.5, seed=7)(request) for request in requests]
    again = pickle.loads(pickle.dumps(seconds))
    assert again == [log_normal_latency(0.2, 0.5, seed=7)(request) for request in reversed(requests)][::-1]
    assert seconds[0] != log_normal_latency(0.2, 0.5, seed=8)(requests[0])
    assert median(seconds) == pytest.approx(0.2, rel=0.1)


async def test_latency_is_waited_for_and_reported() -> None:
    model = ScriptedModel(latency=lambda request: 0.03 * request.step)
    started = asyncio.get_running_loop().time()
    completions = await asyncio.gather(*(model.complete(ask(step=step)) for step in (1, 2, 3)))
    assert 0.09 <= asyncio.get_running_loop().time() - started < 0.18
    assert [completion.usage.seconds for completion in completions] == [0.03, 0.06, 0.09]


def test_request_key_names_question_path_and_step() -> None:
    assert request_key(ask("q", step=2, path=1)) == "q#1#2"
    assert answer_after(1)(ask("q")) == "So the answer is: answer to q"
