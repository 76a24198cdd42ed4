"""The JSON of `POST /v1/answer`: what may be asked, and the form of an answer."""

import unicodedata
import uuid
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage, Question, StopReason, Strategy, Trajectory, Usage
from steper_ray.serve.answered import Answered, LoopOptions
from steper_ray.serve.faults import Fault, FaultType
from steper_ray.serve.plan import ServicePlan


def _encodable(text: str) -> str:
    """Refuses lone surrogates, which JSON can escape and nothing after it can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return text


def _whole(value: object) -> object:
    """4.0 is a whole number in JSON, and some languages write it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


UnicodeText = Annotated[str, AfterValidator(_encodable)]
Count = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
_EXAMPLE: JsonDict = {"question": "Where was the director of Titanic born?", "step_limit": 4, "deadline_s": 20}


class AnswerRequest(BaseModel):
    """A question; whatever is left out is as the service was set up."""

    model_config = ConfigDict(
        extra="forbid", strict=True, use_attribute_docstrings=True, json_schema_extra={"examples": [_EXAMPLE]}
    )

    question: UnicodeText
    """The question, in words."""
    id: UnicodeText | None = Field(default=None, min_length=1, max_length=128)
    """Comes back with the answer; made up when left out."""
    step_limit: Count | None = None
    """Most steps, at most the service's own."""
    k: Count | None = None
    """Passages per retrieval, at most the service's own."""
    strategy: Annotated[Strategy, Field(strict=False)] | None = None
    """Form of the reasoning; the student knows only the one that it was trained with."""
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    """Sampling temperature; 0 is greedy."""
    force_answer: bool | None = None
    """At the step limit, answer all the same."""
    deadline_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Longest time for the answer in seconds, at most the service's own; then what is there comes, as `partial`."""

    def checked(self, plan: ServicePlan, now: float) -> tuple[Question, LoopOptions]:
        """The same in the loop's words; `now` is the time of arrival, seconds since the epoch.

        Raises:
            Fault: beyond the limits of this service.
        """
        question = Question(self.id or uuid.uuid4().hex, question_text(self.question, plan, "question"))
        _at_most("step_limit", self.step_limit, plan.how.step_limit)
        _at_most("k", self.k, plan.how.k)
        _at_most("deadline_s", self.deadline_s, plan.limits.deadline_s)
        if self.strategy not in (None, plan.how.strategy):
            raise Fault(
                FaultType.INVALID_REQUEST,
                f"strategy: the student was trained with {plan.how.strategy.value!r}, found {self.strategy.value!r}",
            )
        until = now + (self.deadline_s or plan.limits.deadline_s)
        return question, LoopOptions(until, self.step_limit, self.temperature, self.force_answer, self.k)


def question_text(text: str, plan: ServicePlan, field: str) -> str:
    """A question as one line.

    Raises:
        Fault: it is empty or too long, or holds what is no text.
    """
    longest = plan.limits.max_question_chars
    if len(text) > longest:
        raise Fault(FaultType.INVALID_REQUEST, f"{field}: has {len(text)} characters, at most {longest} are allowed")
    if any(unicodedata.category(character) == "Cc" and character not in "\t\n\r" for character in text):
        raise Fault(FaultType.INVALID_REQUEST, f"{field}: must not hold control characters")
    text = squeeze(text)
    if not text:
        raise Fault(FaultType.INVALID_REQUEST, f"{field}: must not be empty")
    return text


def _at_most(field: str, value: float | None, most: float) -> None:
    if value is not None and value > most:
        found = str(value)
        shown = found if len(found) <= _DIGITS else f"{found[:_DIGITS]}…"
        raise Fault(FaultType.INVALID_REQUEST, f"{field}: must be at most {most:g}, found {shown}")


_DIGITS = 20


class AnsweredStep(BaseModel):
    """One turn of the loop."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    query: str
    """What was sent to the retriever; empty for a forced answer."""
    rationale: str
    """What the student wrote."""
    passages: tuple[Passage, ...]
    """Those shown for the first time."""
    usage: Usage
    """Of this step's completion."""


class Timings(BaseModel):
    """Wall seconds; what is in `total_s` and in neither of the others is waiting and overhead."""

    retrieval_s: float
    writing_s: float
    total_s: float


_USAGE: JsonDict = {"prompt_tokens": 412, "cached_tokens": 256, "completion_tokens": 21, "seconds": 0.41}
_ANSWER: JsonDict = {
    "id": "7d0c1a52",
    "question": "Where was the director of Titanic born?",
    "answer": "Kapuskasing",
    "stop": "answered",
    "partial": False,
    "steps": [
        {
            "query": "Where was the director of Titanic born?",
            "rationale": "Titanic was directed by James Cameron.",
            "passages": [{"id": "p7", "title": "Titanic", "text": "Titanic is a film by James Cameron.", "score": 9.2}],
            "usage": _USAGE,
        }
    ],
    "usage": _USAGE,
    "timings": {"retrieval_s": 0.004, "writing_s": 0.41, "total_s": 0.42},
}


class Answer(BaseModel):
    """An answer and how it was found."""

    model_config = ConfigDict(use_attribute_docstrings=True, json_schema_extra={"examples": [_ANSWER]})

    id: str
    """The request's, or a made-up one."""
    question: str
    """On one line."""
    answer: str
    """Empty where `stop` or `partial` says why."""
    stop: StopReason | None
    """Why the loop ended; null where the deadline ended it."""
    partial: bool
    """Whether the deadline cut it short: fewer steps than it would have taken, and perhaps no answer."""
    steps: tuple[AnsweredStep, ...]
    """In order; a forced answer is the last one."""
    usage: Usage
    """Summed over the steps."""
    timings: Timings
    """Where the time went."""


def answer_of(answered: Answered, total_s: float) -> Answer:
    """The response to a trajectory that has ended."""
    trajectory = answered.trajectory
    assert trajectory.stop is not None or answered.partial, "only trajectories that have ended are answers"
    return Answer(
        id=trajectory.question.id,
        question=trajectory.question.text,
        answer=trajectory.answer,
        stop=trajectory.stop,
        partial=answered.partial,
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
