"""The section of a language model in a role: teacher or student."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from steper_ray.sections.base import Positive, Section, Share


class ModelSection(Section):
    """A language model in a role: teacher or student."""

    backend: Literal["vllm", "openai", "replay", "scripted", "service"] = "vllm"
    """`vllm`: an engine of ours; `openai`: a remote endpoint (docs/backends.md); `replay`: recorded rationales;
    `service`: a running `steper serve`, in evaluation alone; `scripted`: a stand-in without a model, for tests."""
    model: Path | None = None
    """Hugging Face folder with weights and tokenizer, or the folder of a LoRA adapter (student only);
    `openai`: the tokenizer alone, to measure prompts."""
    base: Path | None = None
    """Base model of a LoRA adapter in `model`; empty: the one that the adapter names."""
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
    gpus: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """GPUs that one engine asks Ray for, below 1 to share one with others (`gpu_memory_utilization` at most as much);
    empty: `tensor_parallel_size` for `vllm` on GPUs, else none. What is asked is asked for any backend."""
    max_batch: Positive = 64
    """Most sequences that the engine decodes at once."""
    resource: str | None = None
    """Custom resource of Ray's nodes that the engines may run on; empty: anywhere."""
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
    """`openai`: base address of the endpoint, such as https://host/v1; `service`: of the service."""
    endpoint_model: str | None = None
    """`openai`: the model's name at the endpoint; `service`: what to call it. Goes into the fingerprint."""
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
        if self.backend in ("openai", "service") and self.endpoint_model:
            return self.endpoint_model
        return self.model.name if self.model else self.backend


def check_gpus(role: str, model: ModelSection) -> None:
    """Raises ValueError when `gpus` is no number that Ray can give, or too small for the engine."""
    gpus, needed = model.gpus, model.tensor_parallel_size
    if gpus is None:
        return
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"{role}.gpus={gpus:g} cannot be given: Ray has whole GPUs, or a share of one; round it")
    if model.backend != "vllm" or model.device == "cpu":
        return
    if needed > 1 and gpus < needed:
        raise ValueError(
            f"{role}.gpus={gpus:g} is less than {role}.tensor_parallel_size={needed}: an engine on several GPUs needs "
            "all of each; ask for as many, or leave gpus empty"
        )
    if 0 < gpus < model.gpu_memory_utilization:
        raise ValueError(
            f"{role}.gpus={gpus:g} leaves the other engines of the GPU too little memory: "
            f"{role}.gpu_memory_utilization={model.gpu_memory_utilization:g} must be at most {gpus:g}"
        )
