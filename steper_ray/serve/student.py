"""The deployment that writes: one engine with the student's weights."""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing

from steper_ray.backends.interfaces import Completion, Request, StreamingModel
from steper_ray.backends.pieces import coalesced
from steper_ray.core.types import FailureKind, Message, Prompt
from steper_ray.drive.job import load_chat
from steper_ray.errors import BackendError
from steper_ray.serve.form import Form, form_of
from steper_ray.serve.plan import ServicePlan

PIECE_S = 0.03
"""Least time between two pieces of a rationale: each costs every process on its way some CPU."""
_PROBE = Prompt((Message("user", "Ready?"),))


class StudentReplica:
    """A `LanguageModel` behind Serve; an engine that dies takes the replica with it, and Serve starts another."""

    def __init__(self, plan: ServicePlan) -> None:
        # Ray sets this to the actor's logical CPUs; torch and vLLM read it when they are imported.
        os.environ["OMP_NUM_THREADS"] = str(plan.threads)
        # All cores are the engines', and threads that spin while they wait keep loop and retriever from them.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        self._chat = load_chat(plan.student, plan.how)
        # Read now: the folder may hold other weights by the time somebody asks.
        self._form = form_of(plan, self._chat)
        self._model = plan.load(plan.student, plan.seed, self._chat)

    async def context_tokens(self) -> int | None:
        """Most tokens of prompt and completion together."""
        return self._model.context_tokens

    async def form(self) -> Form:
        """How its prompts have to be written and measured."""
        return self._form

    async def complete(self, request: Request) -> Completion:
        """Write one completion; see `LanguageModel.complete`."""
        return await self._model.complete(request)

    async def stream(self, request: Request) -> AsyncGenerator[str | Completion, None]:
        """Write one completion piece by piece, or at once where the model can do no better."""
        if not isinstance(self._model, StreamingModel):
            yield await self._model.complete(request)
            return
        async with aclosing(coalesced(self._model.stream(request), PIECE_S)) as pieces:
            async for piece in pieces:
                yield piece

    async def ready(self) -> None:
        """Write one token.

        Raises:
            BackendError: the engine cannot, for a transient reason.
        """
        ids = tuple(self._chat.prompt_ids(_PROBE)) if self._chat else ()
        try:
            await self._model.complete(Request(_PROBE, ids, max_tokens=1))
        except BackendError as error:
            # One that answers with a refusal of this very request (no recording of it, say) is alive.
            if FailureKind(error.kind).transient:
                raise
