"""Bodies, texts and the meaning of errors, without a server."""

import json

import pytest

from steper_ray.backends.interfaces import Request
from steper_ray.backends.openai_faults import Habit, is_too_long, next_to_give_up
from steper_ray.backends.openai_wire import base_text, estimated_tokens, read_completion, request_body
from steper_ray.backends.reply import Reply
from steper_ray.core.chat import ChatFormat
from steper_ray.core.types import Message, Prompt

DIALOGUE = (
    Message("user", "Question: {{ x }}\n\nPassages:\nA: b"),
    Message("assistant", "A fact."),
    Message("user", "P"),
)
PLAIN = Request(Prompt(DIALOGUE), (), max_tokens=128, stop=("\n",), temperature=0.5)
FORCED = Request(Prompt(DIALOGUE, "First.\nSo the answer is:"), (), max_tokens=8)
MESSAGES = [
    {"role": "user", "content": "Question: {{ x }}\n\nPassages:\nA: b"},
    {"role": "assistant", "content": "A fact."},
    {"role": "user", "content": "P"},
]


class Characters:
    """A tokenizer of characters, rendering templates as transformers does."""

    chat_template = None
    name_or_path = "characters"

    @property
    def added_tokens_decoder(self):
        return {}

    def apply_chat_template(self, conversation, *, tokenize, add_generation_prompt, **options):
        from transformers.utils.chat_template_utils import render_jinja_template

        rendered, _ = render_jinja_template(
            [conversation], chat_template=self.chat_template, add_generation_prompt=add_generation_prompt, **options
        )
        return rendered[0]

    def encode(self, text, *, add_special_tokens):
        return [ord(character) for character in text]


def test_a_chat_body_holds_the_messages_as_they_are() -> None:
    assert request_body(PLAIN, "m", "chat", frozenset()) == {
        "model": "m",
        "max_tokens": 128,
        "temperature": 0.5,
        "stop": ["\n"],
        "messages": MESSAGES,
    }


def test_a_continuation_opens_the_assistants_turn() -> None:
    body = request_body(FORCED, "m", "chat", frozenset())
    assert body["messages"] == [*MESSAGES, {"role": "assistant", "content": "First.\nSo the answer is:"}]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert "stop" not in body


def test_an_endpoint_that_cannot_continue_is_asked_for_it_in_words() -> None:
    body = request_body(FORCED, "m", "chat", frozenset({Habit.CONTINUE}))
    asked = "P\n\nContinue the following text. Write only what comes after it:\nFirst.\nSo the answer is:"
    assert body["messages"] == [*MESSAGES[:2], {"role": "user", "content": asked}]
    assert body.keys() == {"model", "max_tokens", "temperature", "messages"}
    assert FORCED.prompt.messages == DIALOGUE


def test_the_other_name_of_the_token_limit() -> None:
    body = request_body(PLAIN, "m", "chat", frozenset({Habit.MAX_TOKENS}))
    assert body["max_completion_tokens"] == 128
    assert "max_tokens" not in body


def test_a_base_model_gets_the_text_of_our_template_and_the_continuation() -> None:
    text = "Question: {{ x }}\n\nPassages:\nA: b\n\nRationale:\nA fact.\nP\n\nRationale:\n"
    assert base_text(PLAIN.prompt) == text
    body = request_body(FORCED, "m", "completions", frozenset())
    assert body["prompt"] == text + "First.\nSo the answer is:"
    assert "messages" not in body


def test_a_base_models_text_is_what_a_tokenizer_without_template_is_given() -> None:
    chat = ChatFormat(Characters())
    for prompt in (PLAIN.prompt, FORCED.prompt):
        assert "".join(map(chr, chat.prompt_ids(prompt))) == base_text(prompt)


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        '{"code": "context_length_exceeded"}',
        "The decoder prompt (length 2000) is longer than the maximum model length of 1024.",
        "the request exceeds the available context size, try increasing it",
        "`inputs` tokens + `max_new_tokens` must be <= 4096",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).",
    ],
)
def test_the_many_words_for_a_prompt_too_long(message: str) -> None:
    assert is_too_long(Reply(400, message))
    assert not is_too_long(Reply(500, message))


@pytest.mark.parametrize(
    ("text", "ended", "cut"),
    [
        ("A fact", "length", True),
        ("A fact.", "stop", False),
        ("A fact.", None, False),
        # Written on behind the stop text, which the endpoint did not heed.
        ("A fact.\nAnd so", "length", False),
    ],
)
def test_a_completion_that_the_token_limit_ended_says_so(text: str, ended: str | None, cut: bool) -> None:
    body = {"choices": [{"message": {"content": text}, "finish_reason": ended}]}
    completion = read_completion(Reply(200, json.dumps(body)), PLAIN, "chat")
    assert (completion.text, completion.cut) == (text.partition("\n")[0], cut)


def test_a_body_too_large_is_a_prompt_too_long_and_another_400_is_not() -> None:
    assert is_too_long(Reply(413, "Payload Too Large"))
    assert not is_too_long(Reply(400, "max_tokens is too large: 9000. This model supports at most 4096"))
    assert not is_too_long(Reply(400, "messages: text content blocks must be non-empty"))


@pytest.mark.parametrize(
    ("status", "fatal"),
    [(status, False) for status in (200, 400, 413, 422)]
    + [(status, True) for status in (301, 401, 402, 403, 404, 405, 429)],
)
def test_what_is_about_key_address_or_account_is_fatal(status: int, fatal: bool) -> None:
    assert Reply(status, "").fatal is fatal


def give_up(message: str, request: Request = PLAIN, *given_up: Habit, status: int = 400, chat: bool = True) -> object:
    return next_to_give_up(Reply(status, message), request, frozenset(given_up), chat=chat)


def test_what_is_given_up_follows_from_the_refusal() -> None:
    other_name = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    assert give_up(other_name) is Habit.MAX_TOKENS
    assert give_up(other_name, PLAIN, Habit.MAX_TOKENS) is None
    assert give_up("Expected last role User", FORCED) is Habit.CONTINUE
    assert give_up("Unknown field", FORCED, status=422) is Habit.CONTINUE
    assert give_up("Unknown field", FORCED, Habit.CONTINUE) is None
    assert give_up("Unknown field", FORCED, chat=False) is None
    assert give_up("Unknown field", PLAIN) is None
    assert give_up("maximum context length is 8", FORCED) is None
    assert give_up("", FORCED, status=401) is None


def test_half_a_character_in_a_reply_becomes_a_question_mark_that_parquet_takes() -> None:
    reply = Reply(200, r'{"choices": [{"message": {"content": "caf\u00e9 \ud83d \ud83d\ude00"}}]}')
    assert read_completion(reply, PLAIN, "chat").text == "café ? 😀"


def test_tokens_are_estimated_from_ids_or_from_characters() -> None:
    assert estimated_tokens(Request(PLAIN.prompt, (1, 2, 3), max_tokens=10)) == 13
    # 40 characters: 32 + 7 + 1
    assert estimated_tokens(PLAIN) == 10 + 128
