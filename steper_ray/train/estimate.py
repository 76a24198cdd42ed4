"""The memory a training worker needs, by arithmetic alone: what is held always, and what one pack adds.

Exact for weights, gradients and moments; activations are counted as a Llama layer keeps them for its backward pass,
which holds for relatives of Llama within about 30 %.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from steper_ray.train.facts import ModelFacts

FP32 = 4
CHUNK = 512
"""Target tokens whose fp32 logits exist at one time (`student.forward.CHUNK`, which needs torch)."""
RESTING = 2**30
"""Bytes of a GPU that libraries take for kernels and buffers."""
RESTING_CPU = 3 * 2**29
"""Bytes of a worker on CPU beside what is counted: libraries, compiled kernels with their buffers, gaps in the heap."""
SURE_OF_ACTIVATIONS = 0.7
"""Share of the estimated activations that are there for sure."""


@dataclass(frozen=True, slots=True)
class Holding:
    """How the student is held; the settings that decide its memory."""

    workers: int = 1
    compute_bytes: int = 2
    """Of one number in the compute type."""
    adapter_parameters: int = 0
    """Parameters of LoRA adapters over all workers; 0 trains all weights."""
    activation_checkpointing: bool = False
    reshard_after_forward: bool = True
    cpu_offload: bool = False
    """Weights, gradients and moments lie in the machine's memory instead of the GPU's."""
    on_cpu: bool = True


@dataclass(frozen=True, slots=True)
class HeaviestPack:
    """The most that any pack of the plan has, each figure by itself."""

    tokens: int
    target_tokens: int
    squares: int
    """Σ length² over units whose attention scores are held as a whole (on CPU, up to 1,024 tokens)."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes of one worker by what they hold."""

    resting: int
    weights: int
    """fp32 masters of its shard; frozen weights in the compute type."""
    gradients: int
    """fp32, of its shard."""
    moments: int
    """AdamW's two, fp32, of its shard."""
    gathered: int
    """Whole weights of the layers at work, and their gradients before they are dealt out."""
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def least(self) -> int:
        """What is needed for sure."""
        return self.total - math.floor((1 - SURE_OF_ACTIVATIONS) * self.activations)


def estimate(facts: ModelFacts, how: Holding, pack: HeaviestPack) -> MemoryEstimate:
    """Estimate the largest memory of a worker over an update.

    Args:
        facts: sizes of the model.
        how: how it is held.
        pack: the heaviest pack.
    """
    trained = how.adapter_parameters or facts.parameters
    frozen = facts.parameters if how.adapter_parameters else 0
    here = 0 if how.cpu_offload and not how.on_cpu else 1
    return MemoryEstimate(
        resting=RESTING_CPU if how.on_cpu else RESTING,
        weights=here * math.ceil((FP32 * trained + how.compute_bytes * frozen) / how.workers),
        gradients=here * math.ceil(FP32 * trained / how.workers),
        moments=here * math.ceil(2 * FP32 * trained / how.workers),
        gathered=_gathered(facts, how),
        activations=_activations(facts, how, pack),
        logits=_logits(facts, how, pack),
    )


def _gathered(facts: ModelFacts, how: Holding) -> int:
    """The root unit stays whole through the pass, beside a layer and the one fetched ahead; or all layers stay."""
    held = facts.rest_parameters + 2 * facts.layer_parameters if how.reshard_after_forward else facts.parameters
    whole = how.compute_bytes * held
    if how.adapter_parameters:
        return whole
    # A unit's gradient exists in the compute type and, while it is summed, in fp32.
    return whole + (how.compute_bytes + FP32) * max(facts.rest_parameters, facts.layer_parameters)


def _activations(facts: ModelFacts, how: Holding, pack: HeaviestPack) -> int:
    layer = _layer_activations(facts, how, pack)
    ends = pack.tokens * facts.hidden * (FP32 + 2 * how.compute_bytes)
    if how.activation_checkpointing:
        # Each layer keeps its input; the one that is computed again is there with its gradients.
        return facts.layers * how.compute_bytes * facts.hidden * pack.tokens + 2 * layer + ends
    return (facts.layers + 1) * layer + ends


def _layer_activations(facts: ModelFacts, how: Holding, pack: HeaviestPack) -> int:
    """What autograd keeps of one layer.

    Two norms: input and output, the rest is computed again; attention: queries, its output and the input of the last
    projection, keys and values; MLP: gate, its activation, up, and their product; scores where held as a whole.
    """
    size = how.compute_bytes
    norms = 2 * facts.hidden * 2 * size
    attention = size * (3 * facts.queries + 2 * facts.keys)
    mlp = size * 4 * facts.intermediate
    scores = size * facts.heads * pack.squares if how.on_cpu else 0
    return pack.tokens * (norms + attention + mlp) + scores


def _logits(facts: ModelFacts, how: Holding, pack: HeaviestPack) -> int:
    """All logits of the targets with their gradient in the compute type; of one chunk three times in fp32."""
    chunk = min(CHUNK, pack.target_tokens)
    return facts.vocabulary * (2 * how.compute_bytes * pack.target_tokens + 3 * FP32 * chunk)


def remedies(facts: ModelFacts, how: Holding, pack: HeaviestPack) -> Iterator[tuple[str, MemoryEstimate]]:
    """Settings that need less, one by one and then together, with what they would need."""
    if not how.activation_checkpointing:
        lighter = replace(how, activation_checkpointing=True)
        yield "train.activation_checkpointing=true", estimate(facts, lighter, pack)
    if not how.reshard_after_forward and how.workers > 1:
        yield "train.reshard_after_forward=true", estimate(facts, replace(how, reshard_after_forward=True), pack)
    half = HeaviestPack(pack.tokens // 2, pack.target_tokens // 2, pack.squares // 2)
    yield f"train.pack_tokens={half.tokens} (drops longer units)", estimate(facts, how, half)
    more = replace(how, workers=2 * how.workers)
    if not how.on_cpu:
        yield f"train.workers={more.workers}", estimate(facts, more, pack)
        if not how.cpu_offload:
            yield "train.cpu_offload=true", estimate(facts, replace(how, cpu_offload=True), pack)
    if not how.adapter_parameters:
        # Rank 16 in all linear modules.
        adapters = 16 * sum(sum(shape) for shape in facts.matrices.values())
        lora = replace(how, adapter_parameters=adapters)
        yield "train.lora_rank=16", estimate(facts, lora, pack)
        both = replace(lora, activation_checkpointing=True)
        yield "train.lora_rank=16 train.activation_checkpointing=true", estimate(facts, both, pack)
