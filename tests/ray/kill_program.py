"""A generation to be killed, on a Ray of its own: `python kill_program.py FOLDER MOOD [section.key=value …]`.

FOLDER holds `corpus.jsonl`-made `index/` and `questions.jsonl`; one byte per call is appended to FOLDER/calls.
MOOD is `none`, or `deadly` where the process dies on every call, `poison` where it dies on each for question q234,
`dying` where the engine dies at once and takes its process along, `odd` where question q7 raises what nobody foresees,
`reluctant` where the process dies once on question q7 and its engine does not start at the first try after that,
`slow` where question q7 is not answered until FOLDER/go is there,
`refusing` where no engine but the first ever loads (a byte per try in FOLDER/refusals), `half` where all but it are
`deadly`.
"""

import asyncio
import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from steper_ray.backends.interfaces import Completion, LanguageModel, Request
from steper_ray.config import load_config
from steper_ray.core.chat import ChatFormat
from steper_ray.core.types import FailureKind
from steper_ray.data.questions import read_questions
from steper_ray.drive.collect import Collection, collect, counts
from steper_ray.drive.fingerprint import claim_folder
from steper_ray.drive.foreman import Start
from steper_ray.drive.job import load_model
from steper_ray.drive.prepare import checked, prepare
from steper_ray.drive.worker import engine_seed
from steper_ray.errors import BackendError, EnvironmentFault, SteperError
from steper_ray.sections.model import ModelSection


class CountingModel:
    """Appends a byte to a file for every call, so that calls of killed processes count too."""

    def __init__(self, model: LanguageModel, calls: Path, mood: str) -> None:
        self._model, self._mood, self._leaving = model, mood, False
        self._died, self._go = calls.with_name("died"), calls.with_name("go")
        self._calls = os.open(calls, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        self.context_tokens, self.cache_tokens = model.context_tokens, model.cache_tokens

    async def complete(self, request: Request) -> Completion:
        if self._mood == "dying":
            await self._die()
        if self._mood == "deadly" or (request.question_id == "q234" and self._mood == "poison"):
            os._exit(9)
        if request.question_id == "q7" and self._mood == "reluctant" and not self._died.exists():
            self._died.touch()
            os._exit(9)
        if request.question_id == "q7" and self._mood == "odd":
            raise KeyError("q7")
        while request.question_id == "q7" and self._mood == "slow" and not self._go.exists():
            await asyncio.sleep(0.1)
        completion = await self._model.complete(request)
        os.write(self._calls, b".")
        return completion

    async def _die(self) -> None:
        """As `VllmModel`: what is in the engine fails, what comes later waits, and the process leaves."""
        if self._leaving:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0.2)
        if not self._leaving:
            self._leaving = True
            threading.Timer(1.0, os._exit, (1,)).start()
        raise BackendError(FailureKind.ENGINE, "the engine died: no memory")

    async def close(self) -> None:
        await self._model.close()


class Load:
    """Loads the counting model; an object, since it must cross into Ray's workers."""

    def __init__(self, calls: Path, mood: str) -> None:
        self._calls, self._mood = calls, mood

    def __call__(self, section: ModelSection, seed: int, chat: ChatFormat | None) -> LanguageModel:
        first = seed < engine_seed(0, Start(1, 0))
        if self._mood == "refusing" and not first:
            with self._calls.with_name("refusals").open("ab") as tries:
                tries.write(b".")
            raise EnvironmentFault("no device", "Mend it")
        if self._mood == "half" and not first:
            return CountingModel(load_model(section, seed, chat), self._calls, "deadly")
        refused = self._calls.with_name("refused")
        if self._calls.with_name("died").exists() and not refused.exists():
            refused.touch()
            raise EnvironmentFault("no memory", "Wait for it")
        return CountingModel(load_model(section, seed, chat), self._calls, self._mood)


def main(folder: Path, mood: str, *overrides: str) -> int:
    config = load_config(
        None,
        [
            f"run.folder={folder}",
            "teacher.backend=scripted",
            "teacher.scripted_latency_s=0.05",
            "generate.in_flight=64",
            *overrides,
        ],
    )
    questions = read_questions(folder / "questions.jsonl").questions
    how, section = config.loop.settings(), config.generate
    job, parts = prepare(
        checked(config.teacher, "teacher"), how, config.folder("index"), section, seed=0, force_answer=False
    )
    job = replace(job, load=Load(folder / "calls", mood))
    into = config.folder("generate")
    into.mkdir(exist_ok=True)
    to = Collection(into, "kill", "scripted", claim_folder(into, parts), 1, section.flush_rows, section.flush_s, False)
    try:
        collect(questions, job, to, config.ray)
    except SteperError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return error.exit_code
    print(json.dumps(counts(questions, to)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
