"""The sections of generation and of the samples made from it."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from steper_ray.core.selection import Correctness, SelectionRules
from steper_ray.core.types import Layout, Target
from steper_ray.sections.base import Positive, Section, check_actors, check_sample


class GenerateSection(Section):
    """Teacher trajectories and the samples made from them."""

    questions: Path | None = None
    """Questions: HotpotQA, 2WikiMultiHopQA, MuSiQue, or JSONL/Parquet with `id, question, golden_answers`."""
    folder: Path | None = None
    """Where trajectories, failures and samples are written; empty: `<run.folder>/generate`."""
    limit: Positive | None = None
    """Only the first n questions; with `sample`, n chosen at random."""
    sample: int | None = None
    """Seed of that choice; a larger limit with the same seed keeps what a smaller one chose."""
    paths: Positive = 1
    """Reasoning paths per question."""
    actors: Positive = 1
    """Teacher engines; work begins when the first is up."""
    actors_max: Positive | None = None
    """Teacher engines at most, where the cluster has room for more; empty: as many as `actors`."""
    in_flight: Positive | None = None
    """Questions in flight per engine; empty: as many as the engine's batch and cache have room for."""
    retrievers: Positive = 1
    """Retriever actors."""
    step_timeout_s: float = Field(default=300.0, gt=0)
    """Longest wait for one retrieval or completion, seconds."""
    outage_s: float = Field(default=3600.0, gt=0)
    """Where an endpoint or a search fails all questions, they wait for it so many seconds; then the run stops."""
    flush_rows: Positive = 32
    """Trajectories that make a Parquet part, but at most four parts per second."""
    flush_s: float = Field(default=30.0, gt=0)
    """A part is also written when its oldest trajectory has waited this long, seconds."""
    retry_permanent: bool = False
    """Also try questions again that failed for a permanent reason."""
    uri: str | None = None
    """Address (`s3://…`, `gs://…`) where trajectories, failures and manifest are published at the end."""

    @model_validator(mode="after")
    def _sample_needs_limit(self) -> "GenerateSection":
        check_sample("generate", self.sample, self.limit)
        return self

    @model_validator(mode="after")
    def _most_are_not_fewer(self) -> "GenerateSection":
        check_actors("generate", self.actors, self.actors_max)
        return self


class SamplesSection(Section):
    """Which trajectories become training samples, and in which form."""

    folder: Path | None = None
    """Where samples and their data card are written; empty: `<generate.folder>/samples`."""
    correctness: Correctness = Correctness.GOLD
    """`gold`: kept when a gold answer was given; `majority`: when most of `generate.paths` >= 3 paths gave it."""
    keep_paths: Positive | None = None
    """Most correct, distinct paths kept per question, lowest numbers first."""
    per_question: Positive | None = None
    """Most samples per question; a path stays whole or goes."""
    max_stage_share: Annotated[float, Field(ge=0.5, le=1)] | None = None
    """Drop trajectories, shortest or longest first, until no stage has more than this share of the samples."""
    layout: Layout | None = None
    """Layout of the samples; empty: that of the trajectories."""
    target: Target | None = None
    """Target of the samples; empty: that of the trajectories."""
    messages: bool = False
    """Also write `messages/`: one row per trajectory as a chat, for trainers on dialogues."""
    name: str = "StepER samples"
    """Name of the data set on its card."""
    licence: str | None = None
    """SPDX identifier of the licence on the card: the corpus and the teacher decide what it may be."""
    uri: str | None = None
    """Address (`s3://…`, `gs://…`) where the samples are published once they are written."""

    def rules(self) -> SelectionRules:
        """What decides about a trajectory, as the core's type."""
        return SelectionRules(self.correctness, self.keep_paths, self.per_question, self.max_stage_share)
