"""The asynchronous driver of the loop: it does what the core's loop decides, and tells what happens."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from steper_ray.backends.interfaces import LanguageModel, Request, Retriever
from steper_ray.core.chat import ChatFormat
from steper_ray.core.loop import (
    Finish,
    LoopState,
    Retrieve,
    Write,
    begin,
    fit_passages,
    fold_passages,
    fold_rationale,
    next_action,
)
from steper_ray.core.prompts import with_demonstrations
from steper_ray.core.types import FailureKind, LoopSettings, Question, Step, StopReason, Trajectory
from steper_ray.errors import BackendError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A query is about to be sent; `step` is 1-based."""

    step: int
    query: str


@dataclass(frozen=True, slots=True)
class PassagesFound:
    """The new passages of a step are known."""

    step: int
    pending: Step


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A rationale is written."""

    step: int
    finished: Step


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every trajectory."""

    trajectory: Trajectory


Event = StepStarted | PassagesFound | StepFinished | Finished


class Driver(Protocol):
    """Whoever brings one question to its answer; any number of them at once on one event loop."""

    async def run(self, question: Question, path: int = 0) -> Trajectory:
        """Drive a question to its end.

        Raises:
            BackendError: what was asked of a model, retriever or service failed.
        """


@dataclass(frozen=True)
class LoopDriver:
    """A language model and a retriever, driven through the loop for one question at a time.

    Any number of questions may be driven at once on one event loop. Without `chat` (a model that needs no token ids)
    prompts are not measured against the model's length.
    """

    how: LoopSettings
    model: LanguageModel
    retriever: Retriever
    chat: ChatFormat | None = None
    demonstrations: tuple[Trajectory, ...] = ()
    force_answer: bool = False
    temperature: float = 0.0
    step_timeout_s: float = 300.0

    async def run(self, question: Question, path: int = 0) -> Trajectory:
        """Drive a question to its end.

        Raises:
            BackendError: a retrieval or completion failed; its kind says whether another try can help.
        """
        async for event in self.events(question, path):
            if isinstance(event, Finished):
                return event.trajectory
        raise AssertionError("the loop ended without a Finished event")

    async def events(self, question: Question, path: int = 0) -> AsyncIterator[Event]:
        """Drive a question to its end, telling each event; raises as `run` does."""
        state = begin(question, path)
        while True:
            action = next_action(state, self.how, force_answer=self.force_answer)
            match action:
                case Retrieve(query):
                    yield StepStarted(len(state.trajectory.steps) + 1, query)
                    started = time.perf_counter()
                    found = await self._in_time(self.retriever.search(query, self.how.k), "retrieval")
                    seconds = time.perf_counter() - started
                    state = self._fitted(fold_passages(state, found, self.how, seconds))
                    assert state.pending is not None
                    yield PassagesFound(len(state.trajectory.steps) + 1, state.pending)
                case Write():
                    written = await self._write(state, action)
                    if written is None:
                        yield Finished(state.trajectory)
                        return
                    state = written
                    yield StepFinished(len(state.trajectory.steps), state.trajectory.steps[-1])
                case Finish(trajectory):
                    yield Finished(trajectory)
                    return

    async def _write(self, state: LoopState, action: Write) -> LoopState | None:
        """The state after the completion; None for a forced answer that no longer fits: the step limit stands."""
        prompt = with_demonstrations(action.prompt, self.demonstrations)
        request = Request(
            prompt=prompt,
            prompt_ids=tuple(self.chat.prompt_ids(prompt)) if self.chat else (),
            max_tokens=action.max_tokens,
            stop=action.stop,
            temperature=self.temperature,
            question_id=state.trajectory.question.id,
            path=state.trajectory.path,
            step=action.step,
        )
        try:
            completion = await self._in_time(self.model.complete(request), "completion")
        except BackendError as error:
            if state.trajectory.stop is StopReason.STEP_LIMIT and error.kind == FailureKind.PROMPT_TOO_LONG:
                return None
            raise
        return fold_rationale(state, completion.text, completion.usage, self.how)

    def _fitted(self, state: LoopState) -> LoopState:
        limit = self.model.context_tokens
        if self.chat is None or limit is None:
            return state
        chat, room = self.chat, limit - self._completion_tokens(state)
        fitted = fit_passages(
            state,
            self.how,
            lambda prompt: len(chat.prompt_ids(with_demonstrations(prompt, self.demonstrations))) <= room,
        )
        if fitted is None:
            number = len(state.trajectory.steps) + 1
            raise BackendError(
                FailureKind.PROMPT_TOO_LONG,
                f"step {number}: the prompt exceeds {limit} tokens even without new passages",
            )
        return fitted

    def _completion_tokens(self, state: LoopState) -> int:
        action = next_action(state, self.how)
        assert isinstance(action, Write)
        return action.max_tokens

    async def _in_time(self, work: Awaitable[Result], what: str) -> Result:
        return await in_time(work, what, self.step_timeout_s)


async def in_time(work: Awaitable[Result], what: str, seconds: float) -> Result:
    """What is awaited.

    Raises:
        BackendError: kind `timeout`: not there after so many seconds.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise BackendError(FailureKind.TIMEOUT, f"no {what} within {seconds:g} s") from None
