"""Text on its way: words, and pieces that keep their distance."""

from collections.abc import AsyncGenerator

from steper_ray.backends.interfaces import Completion, Request, StreamingModel
from steper_ray.backends.pieces import coalesced, word_by_word
from steper_ray.backends.replay import ReplayModel
from steper_ray.backends.scripted import ScriptedModel
from steper_ray.core.types import Prompt, Usage

WHOLE = Completion("one two three four", Usage(completion_tokens=4))


async def collected(pieces: AsyncGenerator[str | Completion, None]) -> list[str | Completion]:
    return [piece async for piece in pieces]


async def test_words_come_with_the_space_behind_them_and_the_whole_comes_last() -> None:
    assert await collected(word_by_word(WHOLE)) == ["one ", "two ", "three ", "four", WHOLE]
    empty = Completion("", Usage())
    assert await collected(word_by_word(empty)) == [empty]


async def test_pieces_that_come_too_soon_leave_with_the_next_or_at_the_end() -> None:
    times = iter([0.0, 0.00, 0.01, 0.04, 0.05])
    pieces = coalesced(word_by_word(WHOLE), 0.03, clock=lambda: next(times))
    # The first at once; "two " is held until "three ", 40 ms after the first; "four" until the end.
    assert await collected(pieces) == ["one ", "two three ", "four", WHOLE]


async def test_closing_the_coalesced_pieces_closes_their_source() -> None:
    closed = []

    async def source() -> AsyncGenerator[str | Completion, None]:
        try:
            yield "one"
            yield "two"
        finally:
            closed.append(True)

    pieces = coalesced(source(), 0.0)
    assert await anext(pieces) == "one"
    await pieces.aclose()
    assert closed == [True]


async def test_scripted_and_replayed_text_streams_as_it_is_written_at_once() -> None:
    request = Request(Prompt(()), (), 9, stop=("\n",), question_id="q", step=1)
    for model in (ScriptedModel(lambda _: "It was so.\nNo more."), ReplayModel({"q": ("It was so.",)})):
        assert isinstance(model, StreamingModel)
        *words, whole = await collected(model.stream(request))
        assert words == ["It ", "was ", "so."]
        assert isinstance(whole, Completion)
        assert whole.text == (await model.complete(request)).text == "It was so."
