"""`steper generate` whose teacher counts its calls, also those of killed processes, and takes so long for each.

python -m benchmarks.killing.teacher CALLS LATENCY_S SETTING …
"""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from steper_ray.backends.interfaces import Completion, LanguageModel, Request
from steper_ray.cli import main
from steper_ray.core.chat import ChatFormat
from steper_ray.drive.job import load_model
from steper_ray.drive.prepare import prepare
from steper_ray.sections.model import ModelSection


class CountingModel:
    """Appends a byte to a file for every completion."""

    def __init__(self, model: LanguageModel, calls: Path, latency_s: float) -> None:
        self._model, self._latency_s = model, latency_s
        self._calls = os.open(calls, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        self.context_tokens, self.cache_tokens = model.context_tokens, model.cache_tokens

    async def complete(self, request: Request) -> Completion:
        """Wait, ask the model, count."""
        await asyncio.sleep(self._latency_s)
        completion = await self._model.complete(request)
        os.write(self._calls, b".")
        return completion

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()


class Load:
    """Loads the counting model; an object, since it must cross into Ray's workers."""

    def __init__(self, calls: Path, latency_s: float) -> None:
        self._calls, self._latency_s = calls, latency_s

    def __call__(self, section: ModelSection, seed: int, chat: ChatFormat | None) -> LanguageModel:
        """As `load_model`."""
        return CountingModel(load_model(section, seed, chat), self._calls, self._latency_s)


def generate(calls: Path, latency_s: float, settings: list[str]) -> int:
    """The command itself, with the loader of its job replaced."""
    import steper_ray.generate.run as phase

    def prepared(*arguments: Any, **options: Any) -> Any:
        job, parts = prepare(*arguments, **options)
        return replace(job, load=Load(calls, latency_s)), parts

    phase.prepare = prepared
    return main(["generate", *settings])


if __name__ == "__main__":
    # Importable by Ray's workers, which know nothing of this script as `__main__`.
    from benchmarks.killing import teacher

    sys.exit(teacher.generate(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
