"""Prompt → token ids: the one place where a chat template meets a tokenizer.

A prompt is cut at the assistant's turns and every piece is tokenised by itself. So, in the `turns` layout, the ids of
step s + 1 start with the ids of step s followed by the target ids of r_s: the engine's prefix cache and the trainer's
one-pass packing both rest on that.
"""

import hashlib
import json
import re
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from steper_ray.core.types import Layout, LoopSettings, Message, Prompt, Target
from steper_ray.errors import ConfigError

BASE_TEMPLATE = (
    "{{ bos_token or '' }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ message['content'] + '\n\n' }}"
    "{% else %}{{ 'Rationale:\n' + message['content'] + '\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Rationale:\n' }}{% endif %}"
)
"""Template of models that come without one (base models); the end of a turn is a newline."""

_TODAY = datetime(2026, 1, 1)

_APPENDED = "loop.layout=appended"

_PROBE = (
    Message("user", "What is asked?"),
    Message("assistant", "First fact."),
    Message("user", "More passages."),
    Message("assistant", "Second fact."),
    Message("user", "Last passages."),
)


class Tokenizer(Protocol):
    """What we use of a Hugging Face tokenizer."""

    chat_template: Any
    name_or_path: str

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
        """Render messages to text."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text."""

    def get_vocab(self) -> dict[str, int]:
        """All tokens and their ids, the added ones included."""

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """Added tokens by id; those marked `special` are texts that the template alone may contain."""


class ChatFormat:
    """A tokenizer with its chat template, able to turn prompts and targets into ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Wrap a tokenizer; one without a chat template gets `BASE_TEMPLATE`, which its weights then carry.

        Raises:
            ConfigError: the template does not render an assistant's turn as its text and something that ends it.
        """
        self.is_base = tokenizer.chat_template in (None, BASE_TEMPLATE)
        if self.is_base:
            tokenizer.chat_template = BASE_TEMPLATE
        self._tokenizer = tokenizer
        specials = sorted({str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, specials))) if specials else None
        # A step's prompt begins with those of the steps before, and is asked for twice: does it fit, and to be sent.
        self._opening = lru_cache(maxsize=1024)(self._render)
        self._encode = lru_cache(maxsize=1024)(self._encode_uncached)
        self._end_of_turn = self._find_end_of_turn()
        # SentencePiece writes a newline as two tokens, of which the last is the newline.
        self.end_of_turn_id = self._encode(self._end_of_turn)[-1]

    def check(self, how: LoopSettings, *, instead: str | None = None) -> None:
        """Refuse a layout or target that this template cannot carry, by rendering a dialogue of three turns.

        Args:
            how: names them.
            instead: what to use, for the message; None: the setting of the loop.

        Raises:
            ConfigError: names the template and what to use instead.
        """
        if self._end_of_turn == "\n" and how.target is Target.CUMULATIVE:
            why = "has no chat template of its own, and its" if self.is_base else "has a chat template whose"
            raise ConfigError(
                f"loop.target=cumulative needs a chat model with an end-of-turn token; {self._tokenizer.name_or_path} "
                f"{why} turns end at a newline; use {instead or 'loop.target=step'}"
            )
        if how.layout is not Layout.TURNS:
            return
        instead = instead or _APPENDED
        rendered = "".join(self._pieces(_PROBE, instead))
        if missing := [message.content for message in _PROBE if message.content not in rendered]:
            raise ConfigError(
                f"the chat template of {self._tokenizer.name_or_path} drops {missing[0]!r} from a dialogue, "
                f"so loop.layout=turns cannot be used with it; use {instead}"
            )

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt, the generation prompt and the continuation included."""
        pieces = self._pieces(tuple(map(self._clean, prompt.messages)))
        ids = [token for piece in pieces for token in self._encode(piece)]
        return [*ids, *self._encode(self._plain(prompt.continuation))]

    def target_ids(self, text: str) -> list[int]:
        """Token ids of what the model shall write, the end-of-turn token included."""
        return [*self._encode(self._plain(text)), *self._encode(self._end_of_turn)]

    def digest(self) -> str:
        """Of vocabulary and template: formats of one digest write the same ids and understand each other's."""
        opened, dialogue = self.prompt_ids(Prompt(_PROBE[:1])), self._render(_PROBE)
        told = [sorted(self._tokenizer.get_vocab().items()), opened, dialogue, self.end_of_turn_id]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def _pieces(self, messages: tuple[Message, ...], instead: str = _APPENDED) -> list[str]:
        pieces, done = [], ""
        for position in range(0, len(messages), 2):
            opening = self._opening(messages[: position + 1])
            if not opening.startswith(done):
                raise ConfigError(
                    f"the chat template of {self._tokenizer.name_or_path} does not keep earlier turns as they were, "
                    f"so loop.layout=turns cannot be used with it; use {instead}"
                )
            pieces.append(opening[len(done) :])
            if position + 1 < len(messages):
                written = messages[position + 1].content
                pieces += [written, self._end_of_turn]
                done = opening + written + self._end_of_turn
        return pieces

    def _render(self, messages: tuple[Message, ...], *, open_turn: bool = True) -> str:
        conversation = [{"role": message.role, "content": message.content} for message in messages]
        # A template that prints today's date would give another prompt every day: both ways to ask for it end here.
        rendered = self._tokenizer.apply_chat_template(
            conversation,
            tokenize=False,
            add_generation_prompt=open_turn,
            date_string=_TODAY.strftime("%d %b %Y"),
            strftime_now=_TODAY.strftime,
            enable_thinking=False,
        )
        return str(rendered)

    def _find_end_of_turn(self) -> str:
        closed = self._render(_PROBE[:2], open_turn=False)
        _, written, rest = closed.rpartition(_PROBE[1].content)
        rest = rest.lstrip(" ")
        if not written or not rest:
            raise ConfigError(
                f"the chat template of {self._tokenizer.name_or_path} does not render an assistant turn as "
                "its text and an end-of-turn token"
            )
        if self._special and (found := self._special.match(rest)):
            return found.group()
        return rest[0]

    def _clean(self, message: Message) -> Message:
        return Message(message.role, self._plain(message.content))

    def _plain(self, text: str) -> str:
        """The text with special tokens broken up: what a passage says is never markup of the template."""
        if self._special is None:
            return text
        return self._special.sub(lambda found: f"{found.group()[0]} {found.group()[1:]}", text)

    def _encode_uncached(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))


def load_chat_format(folder: Path) -> ChatFormat:
    """The chat format of a Hugging Face folder on disk."""
    from transformers import AutoTokenizer

    return ChatFormat(AutoTokenizer.from_pretrained(str(folder), local_files_only=True))
