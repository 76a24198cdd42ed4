"""The asynchronous driver of the loop: it does what the core's loop decides, and tells what happens."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from steper_ray.backends.interfaces import Completion, LanguageModel, Request, Retriever, StreamingModel
from steper_ray.core.chat import ChatFormat
from steper_ray.core.loop import (
    Finish,
    LoopState,
    Retrieve,
    Write,
    cut_short,
    fit_passages,
    fold_passages,
    fold_rationale,
    next_action,
    resume,
)
from steper_ray.core.prompts import MARKER, with_demonstrations
from steper_ray.core.types import FailureKind, LoopSettings, Question, Step, StopReason, Target, Trajectory
from steper_ray.drive.events import (
    Event,
    Finished,
    PassagesFound,
    RationaleDelta,
    StepFinished,
    StepRestarted,
    StepStarted,
)
from steper_ray.errors import BackendError

Result = TypeVar("Result")


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
    stream: bool = False
    """Tell each rationale as it is written, where the model can; not for `cumulative`, which repeats itself."""
    restarts: int = 0
    """Times that a step is begun again after a transient failure, time-outs excepted."""
    restart_pause_s: float = 0.2
    """Before the first such time; doubles with each further one."""

    async def run(self, question: Question, path: int = 0) -> Trajectory:
        """Drive a question to its end.

        Raises:
            BackendError: a retrieval or completion failed; its kind says whether another try can help.
        """
        async for event in self.events(question, path):
            if isinstance(event, Finished):
                return event.trajectory
        raise AssertionError("the loop ended without a Finished event")

    async def events(
        self,
        question: Question,
        path: int = 0,
        finished: Sequence[Step] = (),
        hurry: Callable[[], bool] = lambda: False,
    ) -> AsyncGenerator[Event, None]:
        """Drive a question to its end, telling each event; raises as `run` does.

        `finished` are steps done elsewhere, behind which it goes on. Once `hurry` says so, no further step begins, and
        the answer is forced.
        """
        state, failures = resume(question, finished, self.how, path), 0
        while True:
            between = state.pending is None and state.trajectory.stop is None
            if between and state.trajectory.steps and self.force_answer and hurry():
                state = cut_short(state)
            action = next_action(state, self.how, force_answer=self.force_answer)
            number = len(state.trajectory.steps) + 1
            if isinstance(action, Finish):
                yield Finished(action.trajectory)
                return
            if not failures and state.pending is None:
                yield StepStarted(number, action.query if isinstance(action, Retrieve) else "")
            try:
                work = self._retrieve(state, action) if isinstance(action, Retrieve) else self._write(state, action)
                async with aclosing(work) as items:
                    async for item in items:
                        if isinstance(item, LoopState):
                            state, failures = item, 0
                        else:
                            yield item
                            if isinstance(item, Finished):
                                return
            except BackendError as error:
                if failures >= self.restarts or not _worth_another_try(error):
                    raise
                failures += 1
                yield StepRestarted(number, str(error), FailureKind(error.kind))
                await asyncio.sleep(self.restart_pause_s * 2 ** (failures - 1))

    async def _retrieve(self, state: LoopState, action: Retrieve) -> AsyncGenerator[Event | LoopState, None]:
        started = time.perf_counter()
        found = await self._in_time(self.retriever.search(action.query, self.how.k), "retrieval")
        seconds = time.perf_counter() - started
        state = self._fitted(fold_passages(state, found, self.how, seconds))
        assert state.pending is not None
        yield PassagesFound(len(state.trajectory.steps) + 1, state.pending)
        yield state

    async def _write(self, state: LoopState, action: Write) -> AsyncGenerator[Event | LoopState, None]:
        request = self._request(state, action)
        try:
            async with aclosing(self._written(request)) as items:
                async for item in items:
                    if isinstance(item, Completion):
                        state = fold_rationale(state, item.text, item.usage, self.how, cut=item.cut)
                    else:
                        yield RationaleDelta(action.step, item)
        except BackendError as error:
            if state.trajectory.stop is StopReason.STEP_LIMIT and error.kind == FailureKind.PROMPT_TOO_LONG:
                # A forced answer that no longer fits: the step limit stands.
                yield Finished(state.trajectory)
                return
            raise
        yield StepFinished(len(state.trajectory.steps), state.trajectory.steps[-1])
        yield state

    def _request(self, state: LoopState, action: Write) -> Request:
        prompt = with_demonstrations(action.prompt, self.demonstrations)
        return Request(
            prompt=prompt,
            prompt_ids=tuple(self.chat.prompt_ids(prompt)) if self.chat else (),
            max_tokens=action.max_tokens,
            stop=action.stop,
            temperature=self.temperature,
            question_id=state.trajectory.question.id,
            path=state.trajectory.path,
            step=action.step,
        )

    async def _written(self, request: Request) -> AsyncGenerator[str | Completion, None]:
        """Pieces of the text, where they are wanted and the model can tell them; the completion is the last item."""
        streams = self.stream and self.how.target is not Target.CUMULATIVE
        if not (streams and isinstance(self.model, StreamingModel)):
            yield await self._in_time(self.model.complete(request), "completion")
            return
        if request.prompt.continuation:
            yield f"{MARKER} "
        until = asyncio.get_running_loop().time() + self.step_timeout_s
        async with aclosing(self.model.stream(request)) as pieces:
            while True:
                piece = await self._in_time(anext(pieces), "completion", until)
                yield piece
                if isinstance(piece, Completion):
                    return

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

    async def _in_time(self, work: Awaitable[Result], what: str, until: float | None = None) -> Result:
        return await in_time(work, what, self.step_timeout_s, until)


async def in_time(work: Awaitable[Result], what: str, seconds: float, until: float | None = None) -> Result:
    """What is awaited, at most until this time of the event loop; None: so many seconds from now.

    Raises:
        BackendError: kind `timeout`: not there in time.
    """
    end = asyncio.get_running_loop().time() + seconds if until is None else until
    try:
        async with asyncio.timeout_at(end):
            return await work
    except TimeoutError as error:
        # Whoever was waited for may have noted in the cancellation what kept it.
        words = [f"no {what} within {seconds:g} s", *getattr(error.__cause__, "__notes__", ())]
        raise BackendError(FailureKind.TIMEOUT, ": ".join(words)) from None


def _worth_another_try(error: BackendError) -> bool:
    kind = FailureKind(error.kind)
    return kind.transient and kind is not FailureKind.TIMEOUT
