"""Text on its way: a completion as pieces of text, each at least a set time after the one before."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from steper_ray.backends.interfaces import Completion

_WORD = re.compile(r"\S+\s*|\s+")


async def word_by_word(completion: Completion, seconds: float = 0.0) -> AsyncGenerator[str | Completion, None]:
    """A completion that is known already, told over so many seconds."""
    words = _WORD.findall(completion.text)
    for word in words:
        await asyncio.sleep(seconds / len(words))
        yield word
    if not words:
        await asyncio.sleep(seconds)
    yield completion


async def coalesced(
    pieces: AsyncGenerator[str | Completion, None], least_s: float, clock: Callable[[], float] = time.perf_counter
) -> AsyncGenerator[str | Completion, None]:
    """The same text in fewer pieces: one leaves `least_s` seconds or more after the one before, the first at once.

    What is held back leaves with the next piece or before the completion, so that no timer runs.
    """
    held, left = "", clock() - least_s
    async with aclosing(pieces) as items:
        async for item in items:
            if isinstance(item, Completion):
                if held:
                    yield held
                yield item
                return
            held += item
            now = clock()
            if held and now - left >= least_s:
                yield held
                held, left = "", now
