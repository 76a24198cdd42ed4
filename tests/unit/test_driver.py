"""The asynchronous driver with recorded rationales and a retriever in memory."""

import asyncio

import pytest

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.replay import ReplayModel
from steper_ray.backends.scripted import ScriptedModel
from steper_ray.core.types import FailureKind, LoopSettings, Passage, Question, StopReason, Usage
from steper_ray.drive.driver import LoopDriver
from steper_ray.drive.events import (
    Finished,
    PassagesFound,
    RationaleDelta,
    StepFinished,
    StepRestarted,
    StepStarted,
)
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


async def test_what_the_token_limit_cut_off_is_no_answer() -> None:
    class Cut(Failing):
        async def complete(self, request: Request) -> Completion:
            self.calls += 1
            if self.calls == 1:
                return Completion("It was Roy Clark. So the answer is: Hee", Usage(), cut=True)
            return Completion("So the answer is: Hee Haw.", Usage())

    trajectory = await LoopDriver(LoopSettings(), Cut(FailureKind.ENGINE, 0), Shelf()).run(QUESTION)
    assert [step.rationale for step in trajectory.steps] == ["It was Roy Clark.", "So the answer is: Hee Haw."]


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


class Failing:
    """A model whose first calls fail with one kind."""

    context_tokens = None
    cache_tokens = None

    def __init__(self, kind: FailureKind, times: int) -> None:
        self.kind, self.left, self.calls = kind, times, 0

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise BackendError(self.kind, "no luck")
        return Completion("So the answer is: yes.", Usage())

    async def close(self) -> None:
        pass


def restarting(model: Failing) -> LoopDriver:
    return LoopDriver(LoopSettings(), model, Shelf(), restarts=2, restart_pause_s=0.001)


async def test_a_step_that_fails_for_a_transient_reason_is_begun_again() -> None:
    events = [event async for event in restarting(Failing(FailureKind.ENGINE, 2)).events(QUESTION)]
    assert [type(event) for event in events] == [
        StepStarted,
        PassagesFound,
        StepRestarted,
        StepRestarted,
        StepFinished,
        Finished,
    ]
    assert events[2] == StepRestarted(1, "no luck", FailureKind.ENGINE)


@pytest.mark.parametrize(
    ("kind", "calls"), [(FailureKind.ENGINE, 3), (FailureKind.TIMEOUT, 1), (FailureKind.REFUSED, 1)]
)
async def test_restarts_end_and_neither_time_outs_nor_permanent_failures_have_any(
    kind: FailureKind, calls: int
) -> None:
    model = Failing(kind, 9)
    with pytest.raises(BackendError, match="no luck"):
        await restarting(model).run(QUESTION)
    assert model.calls == calls


async def test_a_streamed_rationale_comes_in_pieces_that_make_up_the_whole() -> None:
    driver = LoopDriver(LoopSettings(), ReplayModel({"q1": RATIONALES}), Shelf(), stream=True)
    events = [event async for event in driver.events(QUESTION)]
    for step in (1, 2, 3):
        pieces = [event.text for event in events if isinstance(event, RationaleDelta) and event.step == step]
        assert "".join(pieces) == RATIONALES[step - 1]
        assert len(pieces) > 1


async def test_a_streamed_forced_answer_begins_with_the_marker() -> None:
    model = ScriptedModel(lambda request: "Hee Haw." if request.prompt.continuation else "A fact.")
    driver = LoopDriver(LoopSettings(step_limit=1), model, Shelf(), force_answer=True, stream=True)
    events = [event async for event in driver.events(QUESTION)]
    assert StepStarted(2, "") in events
    last = "".join(event.text for event in events if isinstance(event, RationaleDelta) and event.step == 2)
    assert last == "So the answer is: Hee Haw."


async def test_steps_finished_elsewhere_are_not_done_again() -> None:
    shelf = Shelf()
    driver = LoopDriver(LoopSettings(), ReplayModel({"q1": RATIONALES}), shelf)
    whole = await driver.run(QUESTION)
    shelf.queries.clear()
    events = [event async for event in driver.events(QUESTION, finished=whole.steps[:2])]
    assert shelf.queries == ["Who hosted what? He hosted Hee Haw."]
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.trajectory.answer == "Hee Haw"
    assert len(last.trajectory.steps) == 3
    assert [event async for event in driver.events(QUESTION, finished=whole.steps)] == [Finished(whole)]


async def test_in_a_hurry_the_answer_is_forced_behind_the_step_that_is_done() -> None:
    model = ScriptedModel(lambda request: "Hee Haw." if request.prompt.continuation else "A fact.")
    driver = LoopDriver(LoopSettings(), model, Shelf(), force_answer=True)
    events = [event async for event in driver.events(QUESTION, hurry=lambda: True)]
    last = events[-1]
    assert isinstance(last, Finished)
    assert [step.rationale for step in last.trajectory.steps] == ["A fact.", "So the answer is: Hee Haw."]
    assert last.trajectory.stop is StopReason.FORCED_ANSWER
