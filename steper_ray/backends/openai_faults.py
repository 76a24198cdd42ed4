"""What an error of an OpenAI-compatible endpoint is about: this prompt, our way to ask, or every call."""

import re
from enum import StrEnum

from steper_ray.backends.endpoint import Endpoint
from steper_ray.backends.interfaces import Request
from steper_ray.backends.reply import REFUSALS, Reply

_TOO_LONG = re.compile(
    r"context.{0,3}(length|size|window)|maximum (model|context|input|sequence) length|maximum number of tokens allowed"
    r"|(prompt|input) is too long|too many (input )?tokens|inputs`? tokens|reduce the length of the",
    re.IGNORECASE,
)


class Habit(StrEnum):
    """A part of our requests that some endpoints refuse, and that has a substitute."""

    MAX_TOKENS = "max_tokens"
    """Else `max_completion_tokens`."""
    CONTINUE = "continue_final_message"
    """vLLM's way to continue an assistant's turn; else the last user message asks for it."""


def is_too_long(reply: Reply) -> bool:
    """Whether the reply says that prompt and completion exceed the model's context."""
    return reply.status == 413 or (reply.status in REFUSALS and _TOO_LONG.search(reply.text) is not None)


def next_to_give_up(reply: Reply, request: Request, given_up: frozenset[Habit], *, chat: bool) -> Habit | None:
    """The habit that may be why a request was refused; None when there is nothing left to try."""
    if reply.status not in REFUSALS or is_too_long(reply):
        return None
    if Habit.MAX_TOKENS not in given_up and "max_completion_tokens" in reply.text:
        return Habit.MAX_TOKENS
    # Endpoints word this in many ways (unknown key, wrong role at the end), so the words are not looked at.
    if chat and request.prompt.continuation and Habit.CONTINUE not in given_up:
        return Habit.CONTINUE
    return None


def explain_fatal(reply: Reply, endpoint: Endpoint, model: str, section: str) -> str:
    """A fatal reply with the remedy: names address, model and where the key came from, never the key."""
    held = f"the key from {endpoint.key.source}" if endpoint.key else "no key"
    remedies = {
        401: f"check {section}.key_file or {section}.key_variable",
        402: "check the account",
        403: "check what this key may use",
        404: f"check {section}.url (the part before /chat/completions) and {section}.endpoint_model",
        429: "check the account's quota",
    }
    remedy = remedies.get(reply.status, f"check {section}.url")
    return f"{endpoint.url} does not serve model {model} with {held}: {reply.shown()}; {remedy}"
