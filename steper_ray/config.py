"""The configuration: one frozen tree, read from YAML with `section.key=value` overrides on top.

Free of heavy imports, so that the command line answers at once. Unknown keys are errors. A folder left empty is
found under `run.folder`, so that phases of one run meet without being told where.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steper_ray.core.selection import Correctness, SelectionRules
from steper_ray.core.types import Layout, LoopSettings, QueryForm, Strategy, Target
from steper_ray.errors import ConfigError

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused, numbers may be written as strings (PyYAML reads 1e-5 so)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)


def _check_sample(section: str, sample: int | None, limit: int | None) -> None:
    if sample is not None and limit is None:
        raise ValueError(
            f"{section}.sample={sample} chooses questions at random but {section}.limit, their number, is empty; set it"
        )


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
    """Most tokens of one rationale."""

    @model_validator(mode="after")
    def _cumulative_needs_appended(self) -> "LoopSection":
        if self.target is Target.CUMULATIVE and self.layout is not Layout.APPENDED:
            raise ValueError("loop.target=cumulative needs loop.layout=appended")
        return self

    def settings(self) -> LoopSettings:
        """The same values as the core's type."""
        return LoopSettings(**{name: getattr(self, name) for name in type(self).model_fields})


class ModelSection(Section):
    """A language model in a role: teacher or student."""

    backend: Literal["vllm", "openai", "replay", "scripted"] = "vllm"
    """`vllm`: an engine of ours; `openai`: a remote endpoint (docs/backends.md); `replay`: recorded rationales;
    `scripted`: a stand-in without a model, for tests."""
    model: Path | None = None
    """Hugging Face folder with weights and tokenizer; `openai`: the tokenizer alone, to measure prompts."""
    recordings: Path | None = None
    """`replay`: JSONL with `id` and `steps[].rationale`, or MuSiQue's questions for `loop.strategy=self_ask`."""
    scripted_steps: Positive = 3
    """`scripted`: the step that answers."""
    scripted_latency_s: float = Field(default=0.0, ge=0)
    """`scripted`: median time of one completion, seconds; log-normal with a shape of 0.5."""
    engine: Literal["auto", "inprocess", "async"] = "auto"
    """`inprocess`: engine and actor in one process (fastest on CPU); `async`: vLLM's AsyncLLM (GPUs)."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where the engine computes; `auto`: on GPUs, unless vLLM's build for CPUs is installed here."""
    watchdog_s: float = Field(default=240.0, gt=0)
    """An engine that has work and completes nothing for this long, in seconds, is ended and started anew."""
    context_tokens: Positive | None = None
    """Most tokens of prompt and completion; empty takes the model's own limit."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Compute type of the weights."""
    kv_cache_gib: float = Field(default=1.0, gt=0)
    """KV cache on CPU, GiB."""
    gpu_memory_utilization: Share = 0.9
    """Share of each GPU's memory that the engine takes."""
    tensor_parallel_size: Positive = 1
    """GPUs of one engine."""
    max_batch: Positive = 64
    """Most sequences that the engine decodes at once."""
    demonstrations: Literal["builtin"] | Path | None = None
    """JSONL of worked examples shown before the instruction (teacher only); `builtin`: ours for `loop.strategy`."""
    demonstrations_count: Positive | None = None
    """Worked examples shown, chosen and ordered by the seed; empty shows all in the file's order."""
    demonstrations_seed: int = 0
    """Seed of that choice."""
    temperature: float = Field(default=0.0, ge=0)
    """Sampling temperature; 0 is greedy."""
    price_in: float | None = Field(default=None, ge=0)
    """Price of a million prompt tokens, for the estimate of a dry run."""
    price_out: float | None = Field(default=None, ge=0)
    """Price of a million tokens written."""
    url: str | None = None
    """`openai`: base address of the endpoint, such as https://host/v1."""
    endpoint_model: str | None = None
    """`openai`: the model's name at the endpoint; goes into the fingerprint."""
    endpoint_api: Literal["chat", "completions"] = "chat"
    """`openai`: chat messages, or raw text for base models."""
    key_file: Path | None = None
    """`openai`: file that holds the key alone; wins over `key_variable`."""
    key_variable: str | None = "OPENAI_API_KEY"
    """`openai`: environment variable with the key, set wherever Ray's workers run; null sends no key."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """`openai`: most requests per minute, over all actors; empty: no limit of ours."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """`openai`: most tokens per minute, prompt and completion, over all actors; empty: no limit of ours."""
    endpoint_timeout_s: float = Field(default=120.0, gt=0)
    """`openai`: longest wait for one attempt, seconds."""
    endpoint_retries: int = Field(default=6, ge=0)
    """`openai`: further attempts after 429, 5xx, a broken connection or a time-out."""

    @property
    def name(self) -> str:
        """What trajectories and scores call this model."""
        if self.backend == "openai" and self.endpoint_model:
            return self.endpoint_model
        return self.model.name if self.model else self.backend


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
    flush_rows: Positive = 64
    """Trajectories that make a Parquet part, but at most one part per second."""
    flush_s: float = Field(default=30.0, gt=0)
    """A part is also written when its oldest trajectory has waited this long, seconds."""
    retry_permanent: bool = False
    """Also try questions again that failed for a permanent reason."""

    @model_validator(mode="after")
    def _sample_needs_limit(self) -> "GenerateSection":
        _check_sample("generate", self.sample, self.limit)
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

    def rules(self) -> SelectionRules:
        """What decides about a trajectory, as the core's type."""
        return SelectionRules(self.correctness, self.keep_paths, self.per_question, self.max_stage_share)


class TrainSection(Section):
    """The student's training (defaults: the paper's, but for batch and precision)."""

    model: Path | None = None
    """Hugging Face folder to start from."""
    samples: Path | None = None
    """Samples folder; empty: that of section `samples`."""
    folder: Path | None = None
    """Where checkpoints, metrics and weights are written; empty: `<run.folder>/train`."""
    preset: Literal["steper", "multitask", "vanilla_kd", "paper"] = "steper"
    """Loss preset: learned σ; σ fixed at 1; final-step samples only; the paper's per-sample means."""
    epochs: Positive = 2
    """Passes over the samples."""
    updates: Positive | None = None
    """Stop after so many updates."""
    batch: Positive = 8
    """Units per update over all workers: trajectories in `turns`, samples in `appended`."""
    pack_tokens: Positive = 2048
    """Most tokens of one packed micro-batch; longer units are dropped and counted."""
    learning_rate: float = Field(default=5e-6, gt=0)
    """Peak learning rate of the weights."""
    sigma_learning_rate: float | None = Field(default=None, gt=0)
    """Learning rate of log σ; empty: 1e-2 below 1,000 updates, else 1e-3."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW weight decay (never on log σ)."""
    warmup: Share = 0.05
    """Share of the updates with rising learning rate; a cosine to 0 follows."""
    clip: float = Field(default=1.0, gt=0)
    """Most gradient norm, of the weights alone."""
    workers: Positive = 1
    """Training workers."""
    gpus_per_worker: float = Field(default=0, ge=0)
    """GPUs per worker; 0 trains on CPU."""
    cpus_per_worker: Positive = 1
    """CPU cores per worker, which is also its number of threads."""
    compute_dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Compute type; the masters are always fp32."""
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    reshard_after_forward: bool = True
    """Free gathered weights after the forward pass (ZeRO-3); false keeps them (ZeRO-2)."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of LoRA adapters; 0 trains all weights."""
    lora_alpha: float = Field(default=32.0, gt=0)
    """LoRA scale."""
    lora_targets: str = "all-linear"
    """LoRA target modules: a regular expression, or `all-linear`."""
    held_out_share: Share = 0.05
    """Share of the questions held out for the selection metric."""
    checkpoint_every: Positive = 100
    """Updates between checkpoints."""
    evaluate_every: Positive = 50
    """Updates between evaluations of the held-out loss."""
    keep_checkpoints: Positive = 2
    """Checkpoints kept."""
    max_failures: int = Field(default=2, ge=0)
    """How often the workers are restarted from the last checkpoint."""


class EvaluateSection(Section):
    """The student over held-out questions."""

    questions: Path | None = None
    """Held-out questions with gold answers."""
    samples: Path | None = None
    """Held-out samples for loss and token accuracy per stage; empty leaves these out."""
    folder: Path | None = None
    """Where predictions and scores are written; empty: `<run.folder>/evaluate`."""
    limit: Positive | None = None
    """Only the first n questions; with `sample`, n chosen at random."""
    sample: int | None = None
    """Seed of that choice; a larger limit with the same seed keeps what a smaller one chose."""
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
    force_answer: bool = False
    """At the step limit, write one more completion that continues `So the answer is:`."""
    force_loop: bool = False
    """Use the `loop` section even where it differs from what the student was trained with."""

    @model_validator(mode="after")
    def _sample_needs_limit(self) -> "EvaluateSection":
        _check_sample("evaluate", self.sample, self.limit)
        return self


class ServeSection(Section):
    """The student behind an HTTP endpoint."""

    index: Path | None = None
    """Index folder; empty: `index.folder`."""
    host: str = "127.0.0.1"
    """Interface to listen on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on."""
    loop_replicas: Positive = 2
    """Replicas of the loop."""
    engine_replicas: Positive = 1
    """Replicas of the student engine."""
    retriever_replicas: Positive = 1
    """Replicas of the retriever."""
    max_ongoing: Positive = 64
    """Questions in flight per loop replica."""
    max_queued: Positive = 128
    """Questions that wait for a loop replica; further ones are refused with 503."""
    deadline_s: float = Field(default=60.0, gt=0)
    """Longest time for one answer, seconds."""
    max_question_chars: Positive = 2000
    """Longest question."""
    max_body_bytes: Positive = 65_536
    """Longest body of a request."""
    start_timeout_s: float = Field(default=600.0, gt=0)
    """Longest wait for engine, index and loop to be ready, seconds."""
    force_answer: bool = True
    """At the step limit, write one more completion that continues `So the answer is:`."""


class Config(Section):
    """The whole configuration."""

    run: RunSection = RunSection()
    ray: RaySection = RaySection()
    index: IndexSection = IndexSection()
    loop: LoopSection = LoopSection()
    retriever: RetrieverSection = RetrieverSection()
    teacher: ModelSection = ModelSection()
    generate: GenerateSection = GenerateSection()
    samples: SamplesSection = SamplesSection()
    train: TrainSection = TrainSection()
    student: ModelSection = ModelSection()
    evaluate: EvaluateSection = EvaluateSection()
    serve: ServeSection = ServeSection()

    def folder(self, phase: Literal["index", "generate", "samples", "train", "evaluate", "serve", "report"]) -> Path:
        """The folder of a phase: its section's own, or the one under `run.folder` (samples: under generate's)."""
        own: Path | None = getattr(getattr(self, phase, None), "folder", None)
        return own or (self.folder("generate") if phase == "samples" else self.run.folder) / phase


def load_config(source: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read YAML and apply `section.key=value` overrides (values are YAML too).

    Raises:
        ConfigError: unreadable file, unknown key or a value that does not fit; names key, value and source.
    """
    tree = _read_yaml(source) if source else {}
    for override in overrides:
        _apply(tree, override)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error), source) from None


def _read_yaml(source: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration: {error.strerror}", source) from None
    except (yaml.YAMLError, ValueError) as error:  # an impossible date is a ValueError
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}", source) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"the configuration must be a mapping of sections, found {type(tree).__name__}", source)
    # A section whose keys are all commented out is the empty section.
    return {section: {} if values is None else values for section, values in tree.items()}


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    section, dot, name = key.partition(".")
    if not equals or not dot or not section or not name:
        raise ConfigError(f"an override is section.key=value, found {override!r}")
    values = tree.setdefault(section, {})
    if not isinstance(values, dict):
        raise ConfigError(f"section {section!r} must be a mapping, found {values!r}")
    try:
        values[name] = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"the value of override {override!r} is not YAML") from None


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key {key!r}{_nearest(fault['loc'])}")
        elif fault["type"] == "value_error":
            lines.append(str(fault["msg"]).removeprefix("Value error, "))
        else:
            message = fault["msg"][:1].lower() + fault["msg"][1:]
            lines.append(f"{key}: {message}, found {json.dumps(fault['input'], default=str)}")
    return "; ".join(lines)


def _nearest(location: tuple[int | str, ...]) -> str:
    from difflib import get_close_matches

    known = Config.model_fields
    if len(location) == 2 and location[0] in known:
        section: type[Section] = type(getattr(Config(), str(location[0])))
        known = section.model_fields
    match = get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; known are {', '.join(known)}"
