"""Whether a training fits the memory of its workers; refused before any of them starts."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from steper_ray.config import Config
from steper_ray.drive.cluster import cluster_address
from steper_ray.errors import ConfigError
from steper_ray.sections.train import TrainSection
from steper_ray.student.adapter import Adapter
from steper_ray.train.estimate import HeaviestPack, Holding, MemoryEstimate, estimate, remedies
from steper_ray.train.facts import ModelFacts, model_facts

GIB = 2**30
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Room:
    """What a worker needs, and what it has."""

    needed: MemoryEstimate
    there: int | None
    """Bytes; None where this machine cannot tell."""


def check_memory(config: Config, model: Path, pack: HeaviestPack) -> Room:
    """Estimate a worker's memory and refuse what cannot fit, even if the activations were 30 % smaller.

    Args:
        config: the configuration.
        model: the model folder.
        pack: the heaviest pack of the plan (`forecast.Forecast.heaviest`).

    Raises:
        ConfigError: names what is needed, what is there, and the settings that would fit.
    """
    facts = model_facts(model)
    how = holding_of(config.train, facts)
    room = Room(estimate(facts, how, pack), worker_memory(config))
    if room.there is not None and room.needed.least > room.there:
        raise ConfigError(_refusal(facts, how, pack, room.needed, room.there))
    return room


def holding_of(section: TrainSection, facts: ModelFacts) -> Holding:
    """How a section's settings hold the student."""
    adapter = Adapter(section.lora_rank, section.lora_alpha, section.lora_targets) if section.lora_rank else None
    return Holding(
        workers=section.workers_min or section.workers,
        compute_bytes=2 if section.compute_dtype == "bfloat16" else 4,
        adapter_parameters=facts.adapter_parameters(adapter) if adapter else 0,
        activation_checkpointing=section.activation_checkpointing,
        reshard_after_forward=section.reshard_after_forward,
        cpu_offload=section.cpu_offload,
        on_cpu=section.gpus_per_worker == 0,
    )


def worker_memory(config: Config) -> int | None:
    """Bytes that each worker has: of its GPU, if one is here; on CPU its part of this machine, if all workers run here.

    A cluster's machines may differ from this one; there only a GPU found here is taken as an example.
    """
    section = config.train
    if section.gpus_per_worker:
        import torch

        if not torch.cuda.is_available():
            return None
        whole = int(torch.cuda.get_device_properties(0).total_memory)
        return int(whole * min(section.gpus_per_worker, 1))
    return None if cluster_address(config.ray) else machine_memory() // section.workers


def machine_memory() -> int:
    """Bytes of this machine, or of the container that this process is in."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _LIMITS:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return min(limits)


def gib(size: float) -> str:
    """`12.3 GiB`."""
    return f"{size / GIB:.1f} GiB"


def _refusal(facts: ModelFacts, how: Holding, pack: HeaviestPack, needed: MemoryEstimate, there: int) -> str:
    held = needed.weights + needed.gradients + needed.moments
    parts = (
        f"weights, gradients and moments {gib(held)}, gathered weights {gib(needed.gathered)}, "
        f"activations of a pack {gib(needed.activations)}, logits {gib(needed.logits)}"
    )
    lighter = [(name, found) for name, found in remedies(facts, how, pack) if found.total < there]
    if how.on_cpu and how.workers > 1:
        # Fewer workers share the machine's memory, but each holds a larger shard.
        fewer = replace(how, workers=how.workers // 2)
        found = estimate(facts, fewer, pack)
        if found.total < there * how.workers // fewer.workers:
            lighter.append((f"train.workers={fewer.workers}", found))
    known = "; ".join(f"{name} would take {gib(found.total)}" for name, found in lighter)
    return (
        f"train.workers={how.workers}: each worker needs about {gib(needed.total)} ({parts}) and has {gib(there)}; "
        + (known or "no single setting makes it fit: use more or larger machines, or a smaller model")
    )
