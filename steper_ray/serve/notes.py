"""What an answer adds to its request's line in the log: never a word of question, passages or answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.types import Scope

from steper_ray.drive.events import StepFinished, StepRestarted
from steper_ray.serve.asking import Outcome
from steper_ray.serve.faults import Fault
from steper_ray.serve.log import note
from steper_ray.serve.wire import Answer


def facts_of(answer: Answer) -> dict[str, Any]:
    """Of an answer."""
    return {
        "question_id": answer.id,
        "steps": len(answer.steps),
        "stop": answer.stop,
        "partial": answer.partial,
        "completion_tokens": answer.usage.completion_tokens,
    }


async def noted(outcomes: AsyncGenerator[Outcome, None], scope: Scope) -> AsyncGenerator[Outcome, None]:
    """The same outcomes; how far they came stands in the line even when the client leaves."""
    restarts = 0
    async with aclosing(outcomes):
        async for outcome in outcomes:
            match outcome:
                case StepFinished(step):
                    note(scope, steps=step)
                case StepRestarted():
                    restarts += 1
                    note(scope, restarts=restarts)
                case Answer():
                    note(scope, **facts_of(outcome))
                case Fault():
                    note(scope, error=outcome.type.value)
            yield outcome
