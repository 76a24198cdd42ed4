"""Sections that several phases read: the run, Ray, index, loop, and who finds the passages."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from steper_ray.core.types import Layout, LoopSettings, QueryForm, Strategy, Target
from steper_ray.sections.base import Positive, Section, Share


class RunSection(Section):
    """The run: its folder and what holds for all of its phases."""

    folder: Path = Path("runs/default")
    """Folder of the run; every phase writes below it unless its own section names another folder."""
    seed: int = 0
    """Seed of sampling, data order and engine."""


class RaySection(Section):
    """How to reach or start Ray."""

    address: str | None = None
    """Address of a running cluster (`auto` inside a job); empty starts Ray on this machine."""
    num_cpus: int | None = None
    """Logical CPUs of a Ray started here; empty takes max(8, the machine's own), since most actors wait."""
    object_store_gib: float = Field(default=1.0, gt=0)
    """Object store of a Ray started here, GiB."""
    autoscaling: bool | None = None
    """Whether the cluster may start nodes; empty: if Ray's launcher or KubeRay made it. Else too small is refused."""
    join_s: float = Field(default=30.0, ge=0)
    """How long nodes of a cluster may take to join before it is judged too small, seconds."""


class IndexSection(Section):
    """The BM25 index."""

    corpus: Path | None = None
    """Corpus: a JSONL file with `_id|id`, `title`, `text|contents` per line, or Parquet with these columns."""
    folder: Path | None = None
    """Where the index lies; empty: `<run.folder>/index`."""
    k1: float = Field(default=0.9, ge=0)
    """BM25 term saturation."""
    b: Share = 0.4
    """BM25 length normalisation."""
    language: str = "en"
    """Lucene analyzer of this language (ISO 639-1)."""
    passage_words: Positive | None = 2000
    """Longest passage in words (without spaces: two characters a word); longer ones are refused; null takes all."""
    overwrite: bool = False
    """Replace an index that is already there."""
    uri: str | None = None
    """Address (`s3://…`, `gs://…`) where a built index is published, and whence each node fetches it, once."""
    cache: Path = Path("~/.cache/steper_ray/index")
    """With `uri`: folder on each node's own disk for fetched indices."""


class LoopSection(Section):
    """The multi-step loop; stored with samples and weights, so that training, evaluation and serving agree."""

    strategy: Strategy = Strategy.REASONING_PATH
    """Form of the reasoning."""
    layout: Layout = Layout.TURNS
    """How a prompt shows the steps so far."""
    target: Target = Target.STEP
    """What the model writes in each step; `cumulative` needs layout `appended`."""
    query_form: QueryForm = QueryForm.QUESTION_AND_RATIONALE
    """Query of the steps after the first."""
    k: Positive = 4
    """Passages per retrieval."""
    step_limit: Positive = 5
    """Most steps of a trajectory."""
    passages_cap: Positive = 20
    """Most passages shown in one trajectory."""
    rationale_tokens: Positive = 128
    """Most tokens of one rationale; a completion that may hold a whole chain (`cumulative`, `one_step`) has room for
    `step_limit` of them."""

    @model_validator(mode="after")
    def _cumulative_needs_appended(self) -> "LoopSection":
        if self.target is Target.CUMULATIVE and self.layout is not Layout.APPENDED:
            raise ValueError("loop.target=cumulative needs loop.layout=appended")
        return self

    def settings(self) -> LoopSettings:
        """The same values as the core's type."""
        return LoopSettings(**{name: getattr(self, name) for name in type(self).model_fields})


class RetrieverSection(Section):
    """Who finds the passages."""

    backend: Literal["lucene", "http"] = "lucene"
    """`lucene`: the BM25 index of `index`; `http`: a search service (docs/backends.md)."""
    url: str | None = None
    """`http`: address that queries are posted to."""
    name: str | None = None
    """`http`: what the service searches; goes into the fingerprint. Empty: the url."""
    key_file: Path | None = None
    """`http`: file that holds a bearer key alone; wins over `key_variable`."""
    key_variable: str | None = None
    """`http`: environment variable with a bearer key, set wherever Ray's workers run; empty sends no key."""
    timeout_s: float = Field(default=30.0, gt=0)
    """`http`: longest wait for one attempt, seconds."""
    retries: int = Field(default=4, ge=0)
    """`http`: further attempts after 429, 5xx, a broken connection or a time-out."""
    requests: Positive = 4
    """`http`: requests under way at once, per engine; queries that come in meanwhile travel together in the next."""
    batch: Positive = 32
    """`http`: most queries in one request; 1 suits a service that works on the queries of a request in turn."""
    resource: str | None = None
    """Custom resource of Ray's nodes that the retriever actors may run on; empty: anywhere."""
