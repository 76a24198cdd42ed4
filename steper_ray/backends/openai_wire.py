"""The OpenAI protocol without I/O: request → body, reply → completion."""

from dataclasses import asdict
from functools import cache
from typing import Any, Literal

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.openai_faults import Habit, is_too_long
from steper_ray.backends.reply import Reply
from steper_ray.core.chat import BASE_TEMPLATE
from steper_ray.core.text import encodable
from steper_ray.core.types import FailureKind, Prompt, Usage
from steper_ray.errors import BackendError

Api = Literal["chat", "completions"]

PATHS: dict[Api, str] = {"chat": "/chat/completions", "completions": "/completions"}

CHARACTERS_PER_TOKEN = 4


def request_body(request: Request, model: str, api: Api, given_up: frozenset[Habit]) -> dict[str, Any]:
    """The JSON of a request, without the habits that the endpoint has refused."""
    limit = "max_completion_tokens" if Habit.MAX_TOKENS in given_up else "max_tokens"
    body: dict[str, Any] = {"model": model, limit: request.max_tokens, "temperature": request.temperature}
    if request.stop:
        body["stop"] = list(request.stop)
    if api == "completions":
        return body | {"prompt": base_text(request.prompt)}
    messages = [asdict(message) for message in request.prompt.messages]
    continuation = request.prompt.continuation
    if not continuation:
        return body | {"messages": messages}
    if Habit.CONTINUE in given_up:
        asked = f"Continue the following text. Write only what comes after it:\n{continuation}"
        messages[-1]["content"] = f"{messages[-1]['content']}\n\n{asked}"
        return body | {"messages": messages}
    messages.append({"role": "assistant", "content": continuation})
    return body | {"messages": messages, "continue_final_message": True, "add_generation_prompt": False}


def base_text(prompt: Prompt) -> str:
    """A prompt as the text that a base model continues, without a tokenizer: the endpoint adds its own first token."""
    messages = [asdict(message) for message in prompt.messages]
    text: str = _base_template().render(messages=messages, add_generation_prompt=True)
    return text + prompt.continuation


def read_completion(reply: Reply, request: Request, api: Api) -> Completion:
    """The completion in a reply that is not fatal.

    Raises:
        BackendError: `prompt_too_long`, `refused` (invalid request, content filter) or `endpoint` (not this protocol).
    """
    if is_too_long(reply):
        raise BackendError(FailureKind.PROMPT_TOO_LONG, f"the endpoint finds the prompt too long: {reply.shown()}")
    if reply.status != 200:
        raise BackendError(FailureKind.REFUSED, f"the endpoint refuses the request: {reply.shown()}")
    body = reply.json()
    try:
        choice = body["choices"][0]
        message = choice["message"] if api == "chat" else {"content": choice["text"]}
        text, refusal = message.get("content"), message.get("refusal")
        ended = choice.get("finish_reason")
        usage = _usage(body.get("usage") or {}, reply.seconds)
    except (LookupError, TypeError, AttributeError, ValueError):
        raise BackendError(FailureKind.ENDPOINT, f"the endpoint's reply is no completion: {reply.shown()}") from None
    if ended == "content_filter" or refusal:
        raise BackendError(
            FailureKind.REFUSED,
            f"the endpoint's content filter refuses: {encodable(str(refusal or 'no reason given'))}",
        )
    if text is not None and not isinstance(text, str):
        raise BackendError(FailureKind.ENDPOINT, f"the endpoint's reply holds no text: {reply.shown()}")
    # Some endpoints write on behind the stop text: what they cut then is not ours.
    cut = ended == "length" and not any(stop in (text or "") for stop in request.stop)
    return Completion(_clean(text or "", request), usage, cut)


def estimated_tokens(request: Request) -> int:
    """Tokens of prompt and completion before anyone has counted them; high rather than low for the completion."""
    if request.prompt_ids:
        return len(request.prompt_ids) + request.max_tokens
    characters = sum(len(message.content) for message in request.prompt.messages)
    return characters // CHARACTERS_PER_TOKEN + request.max_tokens


def counted_tokens(reply: Reply) -> int | None:
    """Tokens of prompt and completion as the endpoint counted them; None where it did not."""
    body = reply.json() if reply.status == 200 else None
    usage = body.get("usage") if isinstance(body, dict) else None
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else None


def _clean(text: str, request: Request) -> str:
    """The text without what an endpoint may leave in it: a repeated continuation, the stop text, half a character."""
    for opening in (request.prompt.continuation, request.prompt.continuation.rpartition("\n")[2]):
        if opening and text.lstrip().startswith(opening):
            text = text.lstrip().removeprefix(opening)
            break
    for stop in request.stop:
        text = text.partition(stop)[0]
    return encodable(text)


def _usage(counted: dict[str, Any], seconds: float) -> Usage:
    details = counted.get("prompt_tokens_details") or {}
    return Usage(
        prompt_tokens=int(counted.get("prompt_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
        completion_tokens=int(counted.get("completion_tokens") or 0),
        seconds=seconds,
    )


@cache
def _base_template() -> Any:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # The options with which transformers renders chat templates.
    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(BASE_TEMPLATE)
