"""The deployment that writes: one engine with the student's weights."""

import os

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.core.types import FailureKind, Message, Prompt
from steper_ray.drive.job import load_chat, load_model
from steper_ray.errors import BackendError
from steper_ray.serve.plan import ServicePlan

_PROBE = Prompt((Message("user", "Ready?"),))


class StudentReplica:
    """A `LanguageModel` behind Serve; an engine that dies takes the replica with it, and Serve starts another."""

    def __init__(self, plan: ServicePlan) -> None:
        # Ray sets this to the actor's logical CPUs; torch and vLLM read it when they are imported.
        os.environ["OMP_NUM_THREADS"] = str(plan.threads)
        self._chat = load_chat(plan.student, plan.how)
        self._model = load_model(plan.student, plan.seed, self._chat)

    async def context_tokens(self) -> int | None:
        """Most tokens of prompt and completion together."""
        return self._model.context_tokens

    async def complete(self, request: Request) -> Completion:
        """Write one completion; see `LanguageModel.complete`."""
        return await self._model.complete(request)

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
