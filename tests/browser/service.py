"""The real HTTP application under uvicorn, with a loop in the place of Ray's whose questions say what happens."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from ray.serve.exceptions import BackPressureError

from steper_ray.core.types import FailureKind, LoopSettings, Passage, Question, Step, StopReason, Trajectory, Usage
from steper_ray.drive.events import Event, PassagesFound, RationaleDelta, StepFinished, StepRestarted, StepStarted
from steper_ray.sections.model import ModelSection
from steper_ray.sections.serve import ServeSection
from steper_ray.serve.answered import Answered, LoopOptions
from steper_ray.serve.ingress import Ingress
from steper_ray.serve.plan import ServicePlan

MARKUP = "<script>document.title='owned'</script></style><img src=x onerror=\"document.title='owned'\">"
USAGE = Usage(120, 60, 9, 0.1)
STEPS = (
    Step(
        "Where was the director of Titanic born?",
        ("p1", "p2", "p3"),
        (
            Passage(
                "p1",
                "Titanic (1997 film)",
                "Titanic is an American epic romance and disaster film directed, written, produced and co-edited by "
                "James Cameron, about the loss of the RMS Titanic on her maiden voyage.",
                12.41,
            ),
            Passage("p2", "RMS Titanic", "RMS Titanic was a British ocean liner that sank in April 1912.", 10.02),
            Passage("p3", f"Markup {MARKUP}", f"A passage that says {MARKUP} and no more about Cameron.", 3.5),
        ),
        "Titanic was directed by James Cameron.",
        usage=USAGE,
    ),
    Step(
        "Where was the director of Titanic born? Titanic was directed by James Cameron.",
        ("p1", "p4"),
        (
            Passage(
                "p4",
                "James Cameron",
                "James Francis Cameron, born in Kapuskasing, Ontario, is a Canadian filmmaker of New Zealand.",
                14.9,
            ),
        ),
        "James Cameron was born in Kapuskasing, Ontario.",
        usage=USAGE,
    ),
    Step("James Cameron was born in Kapuskasing, Ontario.", ("p4",), (), "So the answer is: Kapuskasing.", usage=USAGE),
)


class Loop:
    """A word in the question decides what happens.

    In step 2 `slow` waits, `restart` does it anew, `fail` breaks and `late` runs out of time; `full` is 503.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.left = threading.Event()
        """Set when a client has left in the middle."""

    def options(self, stream: bool) -> "Loop":
        return self

    @property
    def events(self) -> "Loop":
        return self

    def remote(self, question: Question, options: LoopOptions, finished: tuple[Step, ...]) -> "Call":
        self.asked.append(question.text)
        return Call(self, self._told(question))

    async def _told(self, question: Question) -> AsyncIterator[Event | Answered]:
        text = question.text
        if "full" in text:
            raise BackPressureError(1, 1)
        for number, step in enumerate(STEPS, start=1):
            yield StepStarted(number, step.query)
            yield PassagesFound(number, step)
            for word in step.rationale.split():
                yield RationaleDelta(number, f"{word} ")
                await asyncio.sleep(0.01)
            if number == 2 and "restart" in text:
                await asyncio.sleep(0.3)
                yield StepRestarted(2, "the engine died", FailureKind.ENGINE)
                yield RationaleDelta(2, "Anew: ")
                await asyncio.sleep(0.6)
            if number == 2 and "slow" in text:
                await asyncio.sleep(30)
            if number == 2 and "fail" in text:
                raise KeyError("secret")
            if number == 2 and "late" in text:
                yield Answered(Trajectory(question, 0, STEPS[:1]), 0.03, 0.4, partial=True)
                return
            yield StepFinished(number, step)
        found = "" if "limit" in text else "Kapuskasing"
        end = Trajectory(question, 0, STEPS, found, StopReason.ANSWERED if found else StopReason.STEP_LIMIT)
        yield Answered(end, 0.03, 0.4)


class Call:
    """What a handle's call returns."""

    def __init__(self, loop: Loop, items: AsyncIterator[Event | Answered]) -> None:
        self._loop, self._items = loop, items

    def __aiter__(self) -> AsyncIterator[Event | Answered]:
        return self._items

    def cancel(self) -> None:
        self._loop.left.set()


@contextmanager
def serving(keys: Path | None = None, **limits: Any) -> Iterator[tuple[str, Loop]]:
    """The application on a free port: its address, and the loop behind it."""
    loop = Loop()
    section = ServeSection(keys=keys, **limits)
    plan = ServicePlan(LoopSettings(), ModelSection(backend="scripted"), (), Path("index"), section, 0, 1)
    api = Ingress(plan, loop).__serve_build_asgi_app__()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(api, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", loop
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
