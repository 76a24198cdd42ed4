"""`POST /v1/chat/completions` and `GET /v1/models`: the loop in the form that OpenAI's clients and chat pages know.

The last user message is the question. `reasoning_content` carries the rationales, `content` the answer. What else a
client may send (`max_tokens`, `top_p`, tools …) has no meaning here and is passed over.
"""

import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from steper_ray.core.types import Question, StopReason, Usage
from steper_ray.drive.events import StepFinished
from steper_ray.serve.answered import LoopOptions
from steper_ray.serve.asking import Outcome
from steper_ray.serve.events import MEDIA_TYPE, SCHEMA, frame
from steper_ray.serve.faults import Fault, FaultType
from steper_ray.serve.plan import ServicePlan
from steper_ray.serve.wire import Answer, UnicodeText, question_text

DONE = frame("[DONE]")
_EXAMPLE: JsonDict = {
    "model": "steper",
    "messages": [{"role": "user", "content": "Where was the director of Titanic born?"}],
}
_COMPLETE = frozenset({StopReason.ANSWERED, StopReason.FORCED_ANSWER})


class _Lenient(BaseModel):
    """Unknown fields are passed over: every client sends some."""

    model_config = ConfigDict(extra="ignore", strict=True, use_attribute_docstrings=True)


class ContentPart(_Lenient):
    """A part of a message; those that are no text are passed over."""

    type: UnicodeText
    text: UnicodeText = ""


class ChatMessage(_Lenient):
    """One message of the conversation."""

    role: UnicodeText
    content: UnicodeText | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """What it says."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(_Lenient):
    """What a stream shall tell besides."""

    include_usage: bool | None = None


class ChatRequest(_Lenient):
    """A conversation; only its last user message is read."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    model: UnicodeText
    """As `/v1/models` says."""
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    """The last one of role `user` is the question."""
    stream: bool | None = None
    """Send each rationale when its step is finished."""
    stream_options: StreamOptions | None = None
    """`include_usage` adds a chunk with the usage."""
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    """Sampling temperature; 0 is greedy."""
    n: Literal[1] | None = None
    """One answer at a time."""

    def checked(self, plan: ServicePlan, now: float) -> tuple[Question, LoopOptions]:
        """The same in the loop's words; `now` as in `AnswerRequest.checked`.

        Raises:
            Fault: another model, no question, or beyond the limits of this service.
        """
        if self.model != plan.limits.model_name:
            served = plan.limits.model_name
            raise Fault(FaultType.NOT_FOUND, f"model: {served!r} is served here, found {self.model[:80]!r}")
        asked = next((message for message in reversed(self.messages) if message.role == "user"), None)
        if asked is None:
            raise Fault(FaultType.INVALID_REQUEST, "messages: must hold one of role 'user'")
        question = Question(f"chatcmpl-{uuid.uuid4().hex}", question_text(asked.text, plan, "messages"))
        return question, LoopOptions(now + plan.limits.deadline_s, temperature=self.temperature)


def models(plan: ServicePlan) -> dict[str, Any]:
    """The body of `GET /v1/models`."""
    model = {"id": plan.limits.model_name, "object": "model", "created": 0, "owned_by": "steper_ray"}
    return {"object": "list", "data": [model]}


def completion(answer: Answer, model: str) -> dict[str, Any]:
    """The body of a response that is not streamed."""
    message = {"role": "assistant", "content": answer.answer, "reasoning_content": _reasoning(answer)}
    return {
        **_head(answer.id, "chat.completion", model),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}],
        "usage": _usage(answer.usage),
    }


async def chunks(
    question_id: str, model: str, outcomes: AsyncGenerator[Outcome, None], *, include_usage: bool
) -> AsyncIterator[bytes]:
    """The body of a streamed response: the role, each rationale when its step is finished, the answer, `[DONE]`."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        more: dict[str, Any] = {"usage": None} if include_usage else {}
        return _frame({**_head(question_id, "chat.completion.chunk", model), "choices": choices, **more})

    yield chunk({"role": "assistant", "content": ""})
    async with aclosing(outcomes):
        async for outcome in outcomes:
            match outcome:
                case StepFinished(step, finished):
                    yield chunk({"reasoning_content": ("\n" if step > 1 else "") + finished.rationale})
                case Answer():
                    yield chunk({"content": outcome.answer})
                    yield chunk({}, _finish(outcome))
                    if include_usage:
                        head = _head(question_id, "chat.completion.chunk", model)
                        yield _frame({**head, "choices": [], "usage": _usage(outcome.usage)})
                case Fault():
                    yield _frame(outcome.body())
    yield DONE


def _reasoning(answer: Answer) -> str:
    return "\n".join(step.rationale for step in answer.steps)


def _finish(answer: Answer) -> str:
    """`length` where steps or time ran out before the reasoning had come to its end."""
    return "stop" if answer.stop in _COMPLETE and not answer.partial else "length"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _head(id: str, kind: str, model: str) -> dict[str, Any]:
    return {"id": id, "object": kind, "created": int(time.time()), "model": model}


def _frame(content: dict[str, Any]) -> bytes:
    return frame(json.dumps(content, ensure_ascii=False))


_COMPLETION_EXAMPLE = {
    **_head("chatcmpl-7d0c1a52", "chat.completion", "steper"),
    "created": 0,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Kapuskasing",
                "reasoning_content": "Titanic was directed by James Cameron.\nSo the answer is: Kapuskasing.",
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": _usage(Usage(412, 256, 21)),
}
EXAMPLES = {
    "application/json": {"schema": {"type": "object"}, "example": _COMPLETION_EXAMPLE},
    MEDIA_TYPE: {"schema": SCHEMA},
}
"""The content of the response, for the OpenAPI document: plain and streamed."""
