"""The driver of the baselines that answer in one completion."""

import time
from dataclasses import dataclass

from steper_ray.backends.interfaces import Completion, LanguageModel, Request, Retriever
from steper_ray.core.chat import ChatFormat
from steper_ray.core.direct import (
    direct_prompt,
    direct_stop,
    direct_tokens,
    fold_direct,
    fold_forced_direct,
    forced_direct_prompt,
    read_direct,
    with_worked_examples,
)
from steper_ray.core.text import squeeze
from steper_ray.core.types import (
    FailureKind,
    LoopSettings,
    Passage,
    Prompt,
    Question,
    Step,
    StopReason,
    System,
    Trajectory,
)
from steper_ray.drive.driver import in_time
from steper_ray.errors import BackendError


@dataclass(frozen=True)
class DirectDriver:
    """A language model that answers at once, after one retrieval or none; any number of questions at a time."""

    system: System
    how: LoopSettings
    model: LanguageModel
    retriever: Retriever
    chat: ChatFormat | None = None
    demonstrations: tuple[Trajectory, ...] = ()
    force_answer: bool = False
    temperature: float = 0.0
    step_timeout_s: float = 300.0

    async def run(self, question: Question, path: int = 0) -> Trajectory:
        """Answer a question.

        Raises:
            BackendError: the retrieval or completion failed; its kind says whether another try can help.
        """
        step = await self._retrieved(question) if self.system is System.ONE_STEP else Step("", (), ())
        step, prompt = self._fitted(question, step)
        written = await self._complete(prompt, question, path, 1, direct_stop(self.system))
        text = read_direct(written.text, self.system, cut=written.cut)
        trajectory = fold_direct(question, path, step, text, written.usage, self.system)
        if not self.force_answer or trajectory.stop is not StopReason.STEP_LIMIT:
            return trajectory
        try:
            forced = await self._complete(forced_direct_prompt(prompt, text), question, path, 2, ("\n",))
        except BackendError as error:
            if error.kind == FailureKind.PROMPT_TOO_LONG:
                return trajectory
            raise
        return fold_forced_direct(trajectory, forced.text, forced.usage)

    async def _retrieved(self, question: Question) -> Step:
        query, started = squeeze(question.text), time.perf_counter()
        found = await in_time(self.retriever.search(query, self.how.k), "retrieval", self.step_timeout_s)
        seconds = time.perf_counter() - started
        unique = tuple({passage.id: passage for passage in found}.values())[: self.how.passages_cap]
        return Step(query, tuple(passage.id for passage in found), unique, search_seconds=seconds)

    def _fitted(self, question: Question, step: Step) -> tuple[Step, Prompt]:
        """The step with as many of its passages as the model's length has room for, and its prompt.

        Raises:
            BackendError: kind `prompt_too_long`: there is no room even without passages.
        """
        for kept in range(len(step.passages), -1, -1):
            prompt = self._prompt(question, step.passages[:kept])
            if self._fits(prompt):
                left_out = len(step.passages) - kept
                fitted = Step(
                    step.query, step.retrieved, step.passages[:kept], "", left_out, search_seconds=step.search_seconds
                )
                return fitted, prompt
        raise BackendError(
            FailureKind.PROMPT_TOO_LONG, f"the prompt exceeds {self.model.context_tokens} tokens even without passages"
        )

    def _prompt(self, question: Question, passages: tuple[Passage, ...]) -> Prompt:
        prompt = direct_prompt(question, passages, self.system, self.how)
        return with_worked_examples(prompt, self.demonstrations, self.system)

    def _fits(self, prompt: Prompt) -> bool:
        limit = self.model.context_tokens
        if self.chat is None or limit is None:
            return True
        return len(self.chat.prompt_ids(prompt)) + direct_tokens(self.system, self.how) <= limit

    async def _complete(
        self, prompt: Prompt, question: Question, path: int, step: int, stop: tuple[str, ...]
    ) -> Completion:
        request = Request(
            prompt=prompt,
            prompt_ids=tuple(self.chat.prompt_ids(prompt)) if self.chat else (),
            max_tokens=direct_tokens(self.system, self.how) if step == 1 else self.how.rationale_tokens,
            stop=stop,
            temperature=self.temperature,
            question_id=question.id,
            path=path,
            step=step,
        )
        return await in_time(self.model.complete(request), "completion", self.step_timeout_s)
