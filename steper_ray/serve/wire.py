"""The JSON of `POST /v1/answer`: what may be asked, and the form of an answer."""

import uuid
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage, Question, StopReason, Trajectory, Usage
from steper_ray.serve.faults import Fault, FaultType
from steper_ray.serve.loop import Answered, LoopOptions
from steper_ray.serve.plan import ServicePlan


def _encodable(text: str) -> str:
    """Refuses lone surrogates, which JSON can escape and nothing after it can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return text


UnicodeText = Annotated[str, AfterValidator(_encodable)]


class AnswerRequest(BaseModel):
    """A question; whatever is left out is as the service was set up."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    question: UnicodeText
    """The question, in words."""
    id: UnicodeText | None = Field(default=None, min_length=1, max_length=128)
    """Comes back with the answer; made up when left out."""
    step_limit: int | None = Field(default=None, ge=1)
    """Most steps, at most the service's own."""
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    """Sampling temperature; 0 is greedy."""
    force_answer: bool | None = None
    """At the step limit, answer all the same."""

    def checked(self, plan: ServicePlan) -> tuple[Question, LoopOptions]:
        """The same in the loop's words.

        Raises:
            Fault: beyond the limits of this service.
        """
        text = squeeze(self.question)
        longest, steps = plan.limits.max_question_chars, plan.how.step_limit
        if not text:
            raise Fault(FaultType.INVALID_REQUEST, "question: must not be empty")
        if len(text) > longest:
            raise Fault(
                FaultType.INVALID_REQUEST, f"question: has {len(text)} characters, at most {longest} are allowed"
            )
        if self.step_limit is not None and self.step_limit > steps:
            raise Fault(FaultType.INVALID_REQUEST, f"step_limit: must be at most {steps}, found {self.step_limit}")
        question = Question(self.id or uuid.uuid4().hex, text)
        return question, LoopOptions(self.step_limit, self.temperature, self.force_answer)


class AnsweredStep(BaseModel):
    """One turn of the loop."""

    query: str
    rationale: str
    passages: tuple[Passage, ...]
    """Those shown for the first time."""
    usage: Usage


class Timings(BaseModel):
    """Wall seconds; what is in `total_s` and in neither of the others is waiting and overhead."""

    retrieval_s: float
    writing_s: float
    total_s: float


class Answer(BaseModel):
    """An answer and how it was found; `answer` is empty where `stop` says so."""

    id: str
    question: str
    answer: str
    stop: StopReason
    steps: tuple[AnsweredStep, ...]
    usage: Usage
    """Summed over the steps."""
    timings: Timings


def answer_of(answered: Answered, total_s: float) -> Answer:
    """The response to a finished trajectory."""
    trajectory = answered.trajectory
    assert trajectory.stop is not None, "only finished trajectories are answers"
    return Answer(
        id=trajectory.question.id,
        question=trajectory.question.text,
        answer=trajectory.answer,
        stop=trajectory.stop,
        steps=tuple(
            AnsweredStep(query=step.query, rationale=step.rationale, passages=step.passages, usage=step.usage)
            for step in trajectory.steps
        ),
        usage=_total(trajectory),
        timings=Timings(retrieval_s=answered.retrieval_s, writing_s=answered.writing_s, total_s=total_s),
    )


def _total(trajectory: Trajectory) -> Usage:
    usages = [step.usage for step in trajectory.steps]
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        seconds=sum(usage.seconds for usage in usages),
    )
