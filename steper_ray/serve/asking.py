"""Asking the loop from the ingress: deadline, typed faults, and another replica where one dies."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from ray.serve.exceptions import BackPressureError

from steper_ray.core.types import FailureKind, Question, Step
from steper_ray.drive.events import Event, StepFinished, StepRestarted
from steper_ray.errors import BackendError
from steper_ray.serve.answered import Answered, LoopOptions, cut_short
from steper_ray.serve.deadline import Deadline
from steper_ray.serve.faults import Fault, FaultType, fault_of, sentence_of, unexpected
from steper_ray.serve.handles import GONE, call, items
from steper_ray.serve.log import request_id, warn
from steper_ray.serve.wire import Answer, answer_of
from steper_ray.telemetry.origin import Origin

logger = logging.getLogger(__name__)

READY_TIMEOUT_S = 10.0
GRACE_S = 0.5
"""Past the deadline, in which the loop hands over what it has."""
TRIES = 3
"""Replicas of the loop that a question may see the death of."""
PAUSE_S = 0.2

Outcome = Event | Answer | Fault
"""The events of one question; an answer or a fault is the last one."""


class Asker:
    """The loop's deployment, as the ingress sees it."""

    def __init__(self, loop: Any, origin: Origin) -> None:
        self._loop, self._streaming, self._origin = loop, loop.options(stream=True), origin

    async def answer(self, question: Question, options: LoopOptions) -> Answer:
        """Answer one question.

        Raises:
            Fault: overloaded, unavailable, unanswerable, or no step finished within the deadline.
        """
        told = self._outcomes(self._streaming.steps, question, replace(options, request_id=request_id.get()))
        async with aclosing(told) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, Fault):
                    raise outcome
                if isinstance(outcome, Answer):
                    return outcome
        raise AssertionError("the outcomes ended without an answer")

    async def outcomes(self, question: Question, options: LoopOptions) -> AsyncGenerator[Outcome, None]:
        """Answer one question, telling what happens; the first event is known when this returns.

        Raises:
            Fault: before the first event; later ones are the last outcome.
        """
        events = self._outcomes(self._streaming.events, question, replace(options, request_id=request_id.get()))
        first = await anext(events)
        if isinstance(first, Fault):
            await events.aclose()
            raise first
        return _chained(first, events)

    async def ready(self) -> None:
        """Ask student and index for real.

        Raises:
            Fault: one of them does not answer.
        """
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await call(self._loop.ready)
        except TimeoutError:
            raise Fault(FaultType.UNAVAILABLE, f"student and index are not ready after {READY_TIMEOUT_S:g} s") from None
        except BackendError as error:
            raise Fault(FaultType.UNAVAILABLE, sentence_of(FailureKind(error.kind))) from error
        except GONE as error:
            raise Fault(FaultType.UNAVAILABLE, f"the loop is down ({type(error).__name__})") from error
        except BackPressureError:
            raise _overloaded() from None

    def _warn(self, question: Question, options: LoopOptions, error: Exception) -> None:
        ids = {"request_id": options.request_id, "question_id": question.id}
        warn(self._origin, "replica_died", **ids, deployment="loop", error=type(error).__name__)

    async def _outcomes(self, tell: Any, question: Question, options: LoopOptions) -> AsyncGenerator[Outcome, None]:
        """What one of the loop's methods tells; the finished steps are the answer where it falls silent."""
        started, deadline, begun = time.perf_counter(), Deadline(options.until + GRACE_S), False
        finished: list[Step] = []
        try:
            async with aclosing(self._events(tell, question, options, finished)) as events:
                while True:
                    event = await deadline.wait(anext(events))
                    if isinstance(event, Answered):
                        yield answer_of(event, time.perf_counter() - started)
                        return
                    begun = True
                    yield event
        except Exception as error:
            # The response has perhaps begun, so that nobody else could turn this into one.
            if isinstance(error, TimeoutError) and finished:
                yield answer_of(cut_short(question, finished), time.perf_counter() - started)
            else:
                yield _no_turn() if isinstance(error, TimeoutError) and not begun else _fault(error)

    async def _events(
        self, tell: Any, question: Question, options: LoopOptions, finished: list[Step]
    ) -> AsyncGenerator[Event | Answered, None]:
        """The loop's events; when its replica dies, those of another one that goes on behind the `finished` steps.

        Finished steps are added to the list before they are told.
        """
        begun, deaths = False, 0
        while True:
            try:
                async with aclosing(items(tell, question, options, tuple(finished))) as events:
                    async for event in events:
                        begun = True
                        if isinstance(event, StepFinished):
                            finished.append(event.finished)
                        yield event
                        if isinstance(event, Answered):
                            return
            except BackPressureError:
                if not (begun or deaths):
                    raise _overloaded() from None
                await asyncio.sleep(PAUSE_S)  # never in the middle of an answer; the deadline ends this
            except GONE as error:
                self._warn(question, options, error)
                deaths += 1
                if deaths == TRIES:
                    raise _dead() from error
                if begun:
                    yield StepRestarted(len(finished) + 1, "the loop's replica died", FailureKind.UNEXPECTED)


async def _chained(first: Outcome, rest: AsyncGenerator[Outcome, None]) -> AsyncGenerator[Outcome, None]:
    async with aclosing(rest):
        yield first
        async for outcome in rest:
            yield outcome


def _overloaded() -> Fault:
    return Fault(FaultType.OVERLOADED, "too many questions are waiting; ask again later")


def _no_turn() -> Fault:
    """The loop, which keeps the deadline itself, has not even said that it is over: the question still waits."""
    return Fault(FaultType.OVERLOADED, "no turn came within the deadline; ask again later")


def _dead() -> Fault:
    return Fault(FaultType.UNAVAILABLE, f"{TRIES} replicas of the loop died over this question")


def _fault(error: Exception) -> Fault:
    match error:
        case Fault():
            return error
        case BackendError():
            return fault_of(error)
        case TimeoutError():
            return Fault(FaultType.DEADLINE_EXCEEDED, "no step was finished within the deadline")
    logger.error("an unexpected error", exc_info=error)
    return unexpected(error)
