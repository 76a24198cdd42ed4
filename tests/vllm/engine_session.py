"""Drives one engine through everything the tests look at and prints what was seen as one JSON line per scene.

Runs in a process of its own: `python engine_session.py <engine> <model folder> <exit on engine death: 0|1>`.
"""

import asyncio
import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from steper_ray.backends.interfaces import Request
from steper_ray.backends.vllm import VllmModel
from steper_ray.core.types import Prompt
from steper_ray.errors import BackendError, ConfigError
from steper_ray.sections.model import ModelSection

CONTEXT_TOKENS = 1024
PASSAGE = "The river Arle rises in the hills of Brenn and flows through the town of Tolvik to the sea. " * 12


class Session:
    def __init__(self, model: VllmModel, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    def request(self, text: str, max_tokens: int, stop: tuple[str, ...] = ()) -> Request:
        return Request(Prompt(()), tuple(self.tokenizer.encode(text).ids), max_tokens, stop)

    def ask(self, text: str, content_tokens: int = 16, stop: tuple[str, ...] = ()) -> Request:
        turns = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
        return self.request(turns, content_tokens, stop)

    async def see(self, request: Request) -> dict[str, Any]:
        try:
            completion = await self.model.complete(request)
        except BackendError as error:
            return {"kind": str(error.kind), "message": str(error)}
        usage = completion.usage
        return {
            "text": completion.text,
            "cut": completion.cut,
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
            "seconds": usage.seconds,
        }

    def endless(self, start: int) -> Request:
        return self.request("".join(f"{number}, " for number in range(start, start + 8)), 900)

    async def greedy(self) -> Any:
        questions = ["Name the capital of France.", "What colour is the sky?", "Count from one to five."]
        return [await self.see(self.ask(question)) for question in questions]

    async def many(self) -> Any:
        return await asyncio.gather(*(self.see(self.request(f"{number}, {number + 1},", 4)) for number in range(40)))

    async def stopped(self) -> Any:
        request = self.request("Shopping list:\n- apples\n- pears\n-", 8, stop=("\n",))
        return {
            "free": await self.see(self.request("Shopping list:\n- apples\n- pears\n-", 8)),
            "stopped": await self.see(request),
        }

    async def end_of_turn(self) -> Any:
        return await self.see(self.ask("Name the capital of France.", 40))

    async def repeated(self) -> Any:
        return [await self.see(self.ask(PASSAGE + question, 4)) for question in ("Where does it rise?", "Who knows?")]

    async def cancelled(self) -> Any:
        task = asyncio.create_task(self.see(self.endless(1)))
        await asyncio.sleep(0.5)
        engine = self.model._engine._engine
        before = engine.output_processor.get_num_unfinished_requests()
        task.cancel()
        started = time.perf_counter()
        while engine.output_processor.get_num_unfinished_requests() and time.perf_counter() - started < 20:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - started
        return {
            "before": before,
            "seconds": seconds,
            "cancelled": task.cancelled(),
            "after": await self.see(self.ask("Hi")),
        }

    async def streamed(self) -> Any:
        request = self.request("Shopping list:\n- apples\n- pears\n-", 8, stop=("\n",))
        told = []
        for asked in (self.ask("Name the capital of France.", 40), request):
            *pieces, whole = [piece async for piece in self.model.stream(asked)]
            told.append(
                {"pieces": pieces, "text": whole.text, "tokens": whole.usage.completion_tokens, "cut": whole.cut}
            )
        whole = [await self.see(self.ask("Name the capital of France.", 40)), await self.see(request)]
        return {"told": told, "whole": whole}

    async def left(self) -> Any:
        pieces = self.model.stream(self.endless(1))
        await anext(pieces)
        engine = self.model._engine._engine
        before = engine.output_processor.get_num_unfinished_requests()
        await pieces.aclose()
        started = time.perf_counter()
        while engine.output_processor.get_num_unfinished_requests() and time.perf_counter() - started < 20:
            await asyncio.sleep(0.01)
        return {"before": before, "seconds": time.perf_counter() - started}

    async def refused(self) -> Any:
        too_long = Request(Prompt(()), tuple(range(500, 500 + CONTEXT_TOKENS - 8)), 9)
        fits = Request(Prompt(()), tuple(range(500, 500 + CONTEXT_TOKENS - 8)), 8)
        not_a_token = Request(Prompt(()), (1, 10**6), 4)
        no_tokens = Request(Prompt(()), (1, 2), 0)
        return {
            "too_long": await self.see(too_long),
            "fits": await self.see(fits),
            "invalid": [await self.see(request) for request in (not_a_token, no_tokens, Request(Prompt(()), (), 4))],
            "after": await self.see(self.ask("Hi")),
        }

    async def dead(self) -> Any:
        waiting = [asyncio.create_task(self.see(self.endless(number))) for number in range(4)]
        await asyncio.sleep(0.5)
        children = multiprocessing.active_children()
        if children:
            for child in children:
                child.kill()
        else:
            self.model._engine._engine.step = lambda: 1 / 0
        return await asyncio.gather(*waiting)

    async def later(self) -> Any:
        return await self.see(self.ask("Hi"))


async def play(session: Session) -> None:
    tell("context", session.model.context_tokens)
    scenes = ("greedy", "many", "stopped", "end_of_turn", "repeated", "cancelled", "streamed", "left", "refused")
    for scene in (*scenes, "dead", "later"):
        tell(scene, await getattr(session, scene)())
    await session.model.close()


def tell(scene: str, seen: Any) -> None:
    print(f"\nSEEN {json.dumps([scene, seen])}", flush=True)


def refused_settings(folder: Path, engine: str) -> str:
    try:
        VllmModel.load(ModelSection(model=folder, engine=engine, context_tokens=10**6), seed=0)
    except ConfigError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    engine, folder, leave = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "1"
    tell("refused_settings", refused_settings(folder, engine))
    section = ModelSection(model=folder, engine=engine, context_tokens=CONTEXT_TOKENS, kv_cache_gib=0.25, max_batch=16)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # Not the model's own end token, to see that this one is heeded as well.
    end_of_turn_id = tokenizer.token_to_id(".")
    model = VllmModel.load(section, seed=0, end_of_turn_id=end_of_turn_id, exit_on_engine_death=leave)
    asyncio.run(play(Session(model, tokenizer)))
