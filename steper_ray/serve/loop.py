"""The deployment that reasons: the core's loop, driven over handles, and so apart from engine and JVM."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any

from steper_ray.core.types import FailureKind, Question, Trajectory
from steper_ray.drive.driver import Event, Finished, LoopDriver, PassagesFound, StepFinished
from steper_ray.drive.job import load_chat
from steper_ray.serve.handles import HandleModel, HandleRetriever, call, call_again
from steper_ray.serve.plan import ServicePlan


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """What a request may choose; None takes the service's own value."""

    step_limit: int | None = None
    temperature: float | None = None
    force_answer: bool | None = None


@dataclass(slots=True)
class Stopwatch:
    """Wall seconds by what was waited for, taken from the driver's events."""

    retrieval_s: float = 0.0
    writing_s: float = 0.0
    _last: float = field(default_factory=time.perf_counter)

    def see(self, event: Event) -> None:
        """Book the time since the event before."""
        now = time.perf_counter()
        if isinstance(event, PassagesFound):
            self.retrieval_s += now - self._last
        elif isinstance(event, StepFinished):
            self.writing_s += now - self._last
        self._last = now


@dataclass(frozen=True, slots=True)
class Answered:
    """A finished trajectory and where its time went."""

    trajectory: Trajectory
    retrieval_s: float
    writing_s: float


class LoopReplica:
    """Drives many questions at once on one event loop; holds no state between them."""

    def __init__(self, plan: ServicePlan, student: Any, retriever: Any) -> None:
        self._plan = plan
        self._chat = load_chat(plan.student, plan.how)
        self._student, self._retriever = student, retriever
        self._model = HandleModel(student)

    async def answer(self, question: Question, options: LoopOptions) -> Answered:
        """Drive one question to its end.

        Raises:
            BackendError: student or index failed, again and again.
        """
        watch = Stopwatch()
        await self._model.connect()
        async for event in self._driver(options).events(question):
            watch.see(event)
            if isinstance(event, Finished):
                return Answered(event.trajectory, watch.retrieval_s, watch.writing_s)
        raise AssertionError("the loop ended without a Finished event")

    async def ready(self) -> None:
        """Let the student write a token and the index be searched.

        Raises:
            BackendError: one of them cannot.
        """
        await asyncio.gather(
            call(self._student.ready), call_again(self._retriever.search, "ready", 1, kind=FailureKind.RETRIEVER)
        )

    def _driver(self, options: LoopOptions) -> LoopDriver:
        plan = self._plan
        how, temperature, force = options.step_limit, options.temperature, options.force_answer
        return LoopDriver(
            how=plan.how if how is None else replace(plan.how, step_limit=how),
            model=self._model,
            retriever=HandleRetriever(self._retriever),
            chat=self._chat,
            demonstrations=plan.demonstrations,
            force_answer=plan.limits.force_answer if force is None else force,
            temperature=plan.student.temperature if temperature is None else temperature,
            step_timeout_s=plan.limits.deadline_s,
        )
