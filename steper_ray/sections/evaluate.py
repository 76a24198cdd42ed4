"""The section of evaluation."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from steper_ray.core.types import System
from steper_ray.sections.base import Positive, Section, check_actors, check_sample


class EvaluateSection(Section):
    """The student over held-out questions."""

    role: Literal["student", "teacher"] = "student"
    """Whose section names the model; `teacher` measures the teacher, demonstrations and all."""
    system: System = System.MULTI_STEP
    """How the model comes to its answer: `multi_step`, the loop; `one_step`, one retrieval; `closed_book`, none."""
    questions: Path | None = None
    """Held-out questions with gold answers."""
    aliases: Path | None = None
    """2WikiMultiHopQA's `id_aliases.json`: further names of the gold answers, by `answer_id`."""
    samples: Path | None = None
    """Held-out samples for loss and token accuracy per stage; empty leaves these out."""
    folder: Path | None = None
    """Where predictions and scores are written; empty: `<run.folder>/evaluate`."""
    limit: Positive | None = None
    """Only the first n questions; with `sample`, n chosen at random."""
    sample: int | None = None
    """Seed of that choice; a larger limit with the same seed keeps what a smaller one chose."""
    paths: Positive = 1
    """Reasoning paths per question; of several, the answer that most of them gave is taken (self-consistency)."""
    actors: Positive = 1
    """Student engines; work begins when the first is up."""
    actors_max: Positive | None = None
    """Student engines at most, where the cluster has room for more; empty: as many as `actors`."""
    in_flight: Positive | None = None
    """Questions in flight per engine; empty: as many as the engine's batch and cache have room for."""
    retrievers: Positive = 1
    """Retriever actors."""
    step_timeout_s: float = Field(default=300.0, gt=0)
    """Longest wait for one retrieval or completion, seconds."""
    outage_s: float = Field(default=3600.0, gt=0)
    """Where an endpoint or a search fails all questions, they wait for it so many seconds; then the run stops."""
    force_answer: bool = False
    """At the step limit, write one more completion that continues `So the answer is:`."""
    force_loop: bool = False
    """Use the `loop` section even where it differs from what the student was trained with."""

    @model_validator(mode="after")
    def _sample_needs_limit(self) -> "EvaluateSection":
        check_sample("evaluate", self.sample, self.limit)
        return self

    @model_validator(mode="after")
    def _most_are_not_fewer(self) -> "EvaluateSection":
        check_actors("evaluate", self.actors, self.actors_max)
        return self
