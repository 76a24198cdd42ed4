"""The asynchronous driver with recorded rationales and a retriever in memory."""

import asyncio

import pytest

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.replay import ReplayModel
from steper_ray.backends.scripted import ScriptedModel
from steper_ray.core.types import FailureKind, LoopSettings, Passage, Question, StopReason, Usage
from steper_ray.drive.driver import LoopDriver
from steper_ray.drive.events import Finished, PassagesFound, StepFinished, StepStarted
from steper_ray.errors import BackendError

QUESTION = Question("q1", "Who hosted what?", ("Hee Haw",))
RATIONALES = ("It was Roy Clark.", "He hosted Hee Haw.", "So the answer is: Hee Haw.")


class Shelf:
    """Passages numbered by how often it was asked."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        self.queries.append(query)
        return (Passage(f"p{len(self.queries)}", "T", "text"),)


class Silent:
    """A model that never answers."""

    context_tokens = None
    cache_tokens = None

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(3600)
        return Completion("", Usage())

    async def close(self) -> None:
        pass


async def test_the_driver_does_what_the_loop_decides_and_tells_every_event() -> None:
    shelf = Shelf()
    driver = LoopDriver(LoopSettings(), ReplayModel({"q1": RATIONALES}), shelf)
    events = [event async for event in driver.events(QUESTION)]
    assert [type(event) for event in events] == [StepStarted, PassagesFound, StepFinished] * 3 + [Finished]
    trajectory = await driver.run(QUESTION)
    assert trajectory.answer == "Hee Haw"
    assert trajectory.stop is StopReason.ANSWERED
    assert shelf.queries[:3] == [
        "Who hosted what?",
        "Who hosted what? It was Roy Clark.",
        "Who hosted what? He hosted Hee Haw.",
    ]


async def test_a_forced_answer_is_one_more_completion_without_retrieval() -> None:
    shelf = Shelf()
    model = ScriptedModel(lambda request: "Hee Haw." if request.prompt.continuation else "A fact.")
    driver = LoopDriver(LoopSettings(step_limit=2), model, shelf, force_answer=True)
    trajectory = await driver.run(QUESTION)
    assert trajectory.stop is StopReason.FORCED_ANSWER
    assert trajectory.answer == "Hee Haw"
    assert [step.query for step in trajectory.steps][2] == ""
    assert len(shelf.queries) == 2


async def test_a_wait_beyond_the_time_limit_is_a_transient_failure() -> None:
    driver = LoopDriver(LoopSettings(), Silent(), Shelf(), step_timeout_s=0.05)
    with pytest.raises(BackendError, match=r"no completion within 0\.05 s") as caught:
        await driver.run(QUESTION)
    assert FailureKind(caught.value.kind).transient


async def test_questions_are_independent_of_each_other() -> None:
    other = Question("q2", "Another?", ("x",))
    driver = LoopDriver(LoopSettings(), ReplayModel({"q1": RATIONALES}), Shelf())
    first, second = await asyncio.gather(driver.run(QUESTION), driver.run(other), return_exceptions=True)
    assert not isinstance(first, BaseException)
    assert isinstance(second, BackendError)
    assert second.kind == FailureKind.NO_RECORDING
