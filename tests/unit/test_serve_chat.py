"""OpenAI's form of the service, spoken to by OpenAI's own client, in one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from steper_ray.sections.serve import ServeSection
from tests.unit.local_service import Service, plan_of, quick_restarts  # noqa: F401

ASKED: Any = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Before?"},
    {"role": "assistant", "content": "That."},
    {"role": "user", "content": [{"type": "text", "text": "Who?"}, {"type": "image_url", "image_url": {"url": "x"}}]},
]


@asynccontextmanager
async def client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    async with service.client() as http:
        yield openai.AsyncOpenAI(base_url="http://localhost/v1", api_key="none", http_client=http, max_retries=0)


async def test_the_answer_stands_in_the_content_and_the_rationales_beside_it() -> None:
    async with client(Service(plan_of())) as ask:
        found = await ask.chat.completions.create(model="steper", messages=ASKED, max_tokens=5, top_p=0.5, seed=1)
    [choice] = found.choices
    assert choice.message.content == f"answer to {found.id}"
    reasoning = choice.message.model_extra["reasoning_content"].splitlines()  # type: ignore[index]
    assert reasoning[0] == f"Passage 1 says something about {found.id}."
    assert reasoning[2] == f"So the answer is: answer to {found.id}"
    assert len(reasoning) == 3
    assert choice.finish_reason == "stop"
    assert found.usage is not None
    assert found.usage.completion_tokens == 6 + 6 + 7
    assert found.usage.total_tokens == found.usage.prompt_tokens + 19


async def test_a_stream_tells_the_role_each_rationale_the_answer_and_the_usage() -> None:
    async with client(Service(plan_of())) as ask:
        stream = await ask.chat.completions.create(
            model="steper", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    id = chunks[0].id
    assert {chunk.id for chunk in chunks} == {id}
    assert chunks[0].choices[0].delta.role == "assistant"
    extras = [(chunk.choices[0].delta.model_extra or {}).get("reasoning_content") for chunk in chunks[1:4]]
    assert extras == [
        f"Passage 1 says something about {id}.",
        f"\nPassage 2 says something about {id}.",
        f"\nSo the answer is: answer to {id}",
    ]
    assert chunks[4].choices[0].delta.content == f"answer to {id}"
    assert chunks[5].choices[0].finish_reason == "stop"
    assert chunks[6].choices == []
    assert chunks[6].usage is not None
    assert chunks[6].usage.completion_tokens == 19
    assert len(chunks) == 7


async def test_an_answer_that_ran_out_of_steps_is_marked_by_its_finish_reason() -> None:
    service = Service(plan_of(ServeSection(force_answer=False), scripted_steps=9))
    async with client(service) as ask:
        found = await ask.chat.completions.create(model="steper", messages=ASKED)
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == ("", "length")


async def test_the_models_are_listed() -> None:
    async with client(Service(plan_of(ServeSection(model_name="mine")))) as ask:
        assert [model.id async for model in await ask.models.list()] == ["mine"]


async def test_faults_are_what_the_client_expects() -> None:
    async with client(Service(plan_of())) as ask:
        with pytest.raises(openai.NotFoundError, match="'steper' is served here, found 'gpt'"):
            await ask.chat.completions.create(model="gpt", messages=ASKED)
        with pytest.raises(openai.UnprocessableEntityError, match="must hold one of role 'user'"):
            await ask.chat.completions.create(model="steper", messages=ASKED[:1])
        with pytest.raises(openai.UnprocessableEntityError, match="messages: must not be empty"):
            await ask.chat.completions.create(model="steper", messages=[{"role": "user", "content": " "}])
        with pytest.raises(openai.UnprocessableEntityError, match="n: input should be 1"):
            await ask.chat.completions.create(model="steper", messages=ASKED, n=2)


async def test_a_fault_in_mid_stream_is_raised_by_the_client() -> None:
    async with client(Service(plan_of(), student={"stream": 9})) as ask:
        stream = await ask.chat.completions.create(model="steper", messages=ASKED, stream=True)
        with pytest.raises(openai.APIError, match="the student's engine failed"):
            async for _ in stream:
                pass
