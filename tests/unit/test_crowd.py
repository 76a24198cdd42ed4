"""Questions in flight at an engine, driven on an event loop: as many as its cache has room for, where nobody says."""

import asyncio
from pathlib import Path

import pytest

from steper_ray.backends.interfaces import Request
from steper_ray.backends.scripted import ScriptedModel
from steper_ray.core.types import FailureKind, LoopSettings, Passage, Question, System
from steper_ray.drive.crowd import Crowd, crowd_of
from steper_ray.drive.direct import DirectDriver
from steper_ray.drive.driver import LoopDriver
from steper_ray.drive.job import LoopJob
from steper_ray.errors import BackendError
from steper_ray.sections.model import ModelSection

HOW = LoopSettings(step_limit=3)


class Shelf:
    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        return ()


def write(request: Request) -> str:
    """Three steps of 5 words each, or of 45."""
    words = "So the answer is: x" if request.step == 3 else "It is in a town."
    return " ".join([words] * 9) if request.question_id == "long" and request.step < 3 else words


def crowd(cache_tokens: int | None, in_flight: int | None = None, **failures: FailureKind) -> Crowd:
    """A batch of 4, so at most 6 questions in flight; without a tokenizer prompts have no tokens."""
    section = ModelSection(backend="scripted", max_batch=4)
    job = LoopJob(HOW, section, Path(), (), False, 300.0, 1, 1, in_flight, 1, 0, 1)
    model = ScriptedModel(
        write, cache_tokens=cache_tokens, failures={f"{name}#0#2": failures[name] for name in failures}
    )
    return crowd_of(job, LoopDriver(HOW, model, Shelf()), model.cache_tokens)


async def drive(crowd: Crowd, name: str) -> None:
    async with crowd.slots:
        await crowd.run(Question(name, "Who?"), 0)


async def sizes(crowd: Crowd, *names: str) -> list[int]:
    """Slots at first, and after each of these questions, one after the other."""
    found = [crowd.slots.size]
    for name in names:
        await drive(crowd, name)
        found.append(crowd.slots.size)
    return found


async def test_slots_follow_what_steps_cost_up_and_down() -> None:
    # One more per step: 1 + 3, then up to 6, since 90 / 5 is more.
    assert await sizes(crowd(90), "a", "b") == [1, 4, 6]
    many = crowd(90)
    await sizes(many, "a", "b")
    seen = []
    resize = many.slots.resize

    def noted(size: int) -> None:
        seen.append(size)
        resize(size)

    many.slots.resize = noted  # type: ignore[method-assign]
    await drive(many, "long")
    # At 45 tokens the mean is (5 + 5 + 45) / 3, and 90 / 18.3 = 4; its last step has 5 again: one more.
    assert seen == [4, 4, 5, 5]
    assert many.slots.size == 5


async def test_a_question_that_fails_leaves_its_tokens_as_those_of_one_that_ended() -> None:
    failing = crowd(90, long=FailureKind.TIMEOUT)
    with pytest.raises(BackendError):
        await drive(failing, "long")
    # Nothing had ended: three steps of 45 are more than 90. Now one has ended with 45, so two fit.
    assert await sizes(failing, "a") == [1, 2]


async def test_who_waits_enters_as_the_room_grows_and_never_more_than_fit() -> None:
    many, inside, most = crowd(90), 0, 0

    async def counted(name: str) -> None:
        nonlocal inside, most
        async with many.slots:
            inside += 1
            most = max(most, inside)
            await many.run(Question(name, "Who?"), 0)
            inside -= 1

    tasks = [asyncio.create_task(counted(f"q{number}")) for number in range(12)]
    await asyncio.sleep(0)
    assert (many.slots.taken, many.slots.waiting) == (1, 11)
    await asyncio.gather(*tasks)
    assert (most, many.slots.taken) == (6, 0)


async def test_a_number_that_is_given_stays_and_so_does_the_most_where_no_cache_limits() -> None:
    assert await sizes(crowd(90, in_flight=2), "a", "long") == [2, 2, 2]
    assert await sizes(crowd(None), "a", "long") == [6, 6, 6]


async def test_a_baseline_that_shares_no_prefixes_has_all_its_places() -> None:
    model = ScriptedModel(lambda request: "x", cache_tokens=90)
    job = LoopJob(HOW, ModelSection(max_batch=4), Path(), (), False, 300.0, 1, 1, None, 1, 0, 1)
    driver = DirectDriver(System.CLOSED_BOOK, HOW, model, Shelf())
    assert await sizes(crowd_of(job, driver, model.cache_tokens), "a") == [6, 6]
