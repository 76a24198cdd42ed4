"""The Ray Data actor that drives the loop: one engine, many questions on one event loop."""

import json
import os
from typing import Any

from steper_ray.core.types import FailureKind, Question
from steper_ray.data.schemas import question_of, trajectory_row
from steper_ray.drive.driver import LoopDriver
from steper_ray.drive.job import LoopJob, load_chat
from steper_ray.drive.retrieval import RetrieverClient
from steper_ray.errors import BackendError, ConfigError, SteperError


class LoopWorker:
    """Turns a row of work into a finished trajectory or a failure, never into an exception of the whole job."""

    def __init__(self, job: LoopJob, retrievers: list[Any]) -> None:
        # Ray sets this to the actor's logical CPUs; torch and vLLM read it when they are imported.
        os.environ["OMP_NUM_THREADS"] = str(job.threads)
        chat = load_chat(job.model, job.how)
        self._driver = LoopDriver(
            how=job.how,
            model=job.load(job.model, job.seed, chat),
            retriever=RetrieverClient(retrievers),
            chat=chat,
            demonstrations=job.demonstrations,
            force_answer=job.force_answer,
            temperature=job.model.temperature,
            step_timeout_s=job.step_timeout_s,
        )

    async def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        """Drive one question.

        Args:
            row: a row of `data.schemas.QUESTIONS`.

        Returns:
            `result`: the row of `TRAJECTORIES` less its provenance, or the failure, as JSON: nested lists that are
            empty in a whole block would lose their Arrow type.
        """
        question, path = question_of(row), int(row["path"])
        try:
            trajectory = await self._driver.run(question, path)
        except BackendError as error:
            return _failure(question, path, error.kind, error)
        except ConfigError as error:  # a template that takes most dialogues may break on one odd rationale
            return _failure(question, path, FailureKind.REFUSED, error)
        return {"result": json.dumps({"trajectory": trajectory_row(trajectory, {})})}


def _failure(question: Question, path: int, kind: str, error: SteperError) -> dict[str, str]:
    failure = {"question_id": question.id, "path": path, "kind": kind, "message": str(error)}
    return {"result": json.dumps({"failure": failure})}
