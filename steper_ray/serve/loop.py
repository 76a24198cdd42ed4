"""The deployment that reasons: the core's loop, driven over handles, and so apart from engine and JVM."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

from steper_ray.core.types import FailureKind, Question, Step, Trajectory
from steper_ray.drive.driver import LoopDriver
from steper_ray.drive.events import Event, Finished, StepFinished, StepRestarted
from steper_ray.drive.job import load_chat
from steper_ray.drive.meters import LoopMeters
from steper_ray.errors import BackendError
from steper_ray.serve.answered import Answered, LoopOptions, Stopwatch
from steper_ray.serve.deadline import Deadline
from steper_ray.serve.faults import sentence_of
from steper_ray.serve.handles import PAUSE_S, TRIES, HandleModel, HandleRetriever, call, call_again
from steper_ray.serve.log import log_to_stderr, warn
from steper_ray.serve.plan import ServicePlan
from steper_ray.telemetry.origin import Origin

_OUR_OWN = frozenset({FailureKind.TIMEOUT, FailureKind.ENGINE, FailureKind.RETRIEVER})
"""Failures whose messages are of our own parts; an endpoint's or a refusal's may quote the prompt."""

Told = AsyncGenerator[Event | Answered, None]
"""The events of one question; the last one is the answer, in the place of `Finished`."""


class LoopReplica:
    """Drives many questions at once on one event loop; holds no state between them."""

    def __init__(self, plan: ServicePlan, student: Any, retriever: Any) -> None:
        self._plan = plan
        self._chat = load_chat(plan.student, plan.how)
        self._student, self._retriever = student, retriever
        self._model = HandleModel(student)
        self._origin, self._in_flight = Origin("serve", plan.limits.model_name), 0
        self._meters = LoopMeters(self._origin)
        self._warming: asyncio.Task[None] | None = None
        log_to_stderr()

    async def check_health(self) -> None:
        """Serve's look at this replica, the first before any question: then the ways to student and index are opened.

        Not waited for, since the loop lives apart from them; questions find them shut or open by themselves.
        """
        if self._warming is None:
            self._warming = asyncio.create_task(self._warm_up())

    async def events(self, question: Question, options: LoopOptions, finished: tuple[Step, ...]) -> Told:
        """Drive one question to its end, or to its deadline, and tell what happens.

        Goes on behind steps that another replica has `finished`.

        Raises:
            BackendError: student or index failed, again and again, or no step was done in time.
        """
        async with aclosing(self._told(question, options, finished, stream=True)) as told:
            async for event in told:
                yield event

    async def steps(self, question: Question, options: LoopOptions, finished: tuple[Step, ...]) -> Told:
        """The same for one who waits for the answer: the first event, by which it has begun, and what is done."""
        begun = False
        async with aclosing(self._told(question, options, finished, stream=False)) as told:
            async for event in told:
                if isinstance(event, StepFinished | Answered) or not begun:
                    begun = True
                    yield event

    async def ready(self) -> None:
        """Let the student write a token and the index be searched.

        Raises:
            BackendError: one of them cannot.
        """
        try:
            await asyncio.gather(call(self._student.ready), self._search())
        except BackendError as error:
            warn(self._origin, "not_ready", kind=FailureKind(error.kind).value, message=str(error))
            raise

    async def _warm_up(self) -> None:
        """`GET /readyz` does this too, but for one replica alone; without, first questions would wait for it."""
        with suppress(BackendError):
            await asyncio.gather(self._model.connect(), self._search())

    async def _search(self) -> None:
        await call_again(self._retriever.search, "ready", 1, kind=FailureKind.RETRIEVER)

    async def _told(
        self, question: Question, options: LoopOptions, finished: tuple[Step, ...], *, stream: bool
    ) -> Told:
        """The driver's events, with the deadline kept; what happens is counted, and told to the log where it is bad."""
        ids = {"request_id": options.request_id, "question_id": question.id}
        self._count(1)
        try:
            async with aclosing(self._driven(question, options, finished, stream=stream)) as told:
                async for event in told:
                    match event:
                        case StepFinished(_, step):
                            self._meters.step(step)
                        case StepRestarted(number, reason, kind):
                            self._meters.step_restarted()
                            warn(self._origin, "step_restarted", **ids, step=number, **_facts(kind, reason))
                            event = StepRestarted(number, sentence_of(kind), kind)
                        case Answered():
                            self._meters.finished(event.trajectory)
                    yield event
        except BackendError as error:
            kind = FailureKind(error.kind)
            self._meters.failed(kind)
            warn(self._origin, "question_failed", **ids, **_facts(kind, str(error)))
            raise
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._in_flight += change
        self._meters.in_flight(self._in_flight)

    async def _driven(
        self, question: Question, options: LoopOptions, finished: tuple[Step, ...], *, stream: bool
    ) -> Told:
        watch, deadline, steps = Stopwatch(), Deadline(options.until), list(finished)
        driver = self._driver(options, stream)
        try:
            await deadline.wait(self._model.connect())
            async with aclosing(driver.events(question, 0, finished, deadline.is_near)) as events:
                while True:
                    event = await deadline.wait(anext(events))
                    watch.see(event)
                    if isinstance(event, Finished):
                        yield watch.answered(event.trajectory, partial=deadline.was_near)
                        return
                    if isinstance(event, StepFinished):
                        steps.append(event.finished)
                        deadline.step_took(event.finished)
                    yield event
        except TimeoutError:
            if not steps:
                raise BackendError(FailureKind.TIMEOUT, "no step was finished within the deadline") from None
            yield watch.answered(Trajectory(question, 0, tuple(steps)), partial=True)

    def _driver(self, options: LoopOptions, stream: bool) -> LoopDriver:
        plan, force = self._plan, options.force_answer
        return LoopDriver(
            how=replace(plan.how, k=options.k or plan.how.k, step_limit=options.step_limit or plan.how.step_limit),
            model=self._model,
            retriever=HandleRetriever(self._retriever),
            chat=self._chat,
            demonstrations=plan.demonstrations,
            force_answer=plan.limits.force_answer if force is None else force,
            temperature=plan.student.temperature if options.temperature is None else options.temperature,
            step_timeout_s=plan.limits.deadline_s,
            stream=stream,
            restarts=TRIES - 1,
            restart_pause_s=PAUSE_S,
        )


def _facts(kind: FailureKind, message: str) -> dict[str, str]:
    """What the log says of a failure: all where no word of a question can be in it."""
    return {"kind": kind.value, "message": message} if kind in _OUR_OWN else {"kind": kind.value}
