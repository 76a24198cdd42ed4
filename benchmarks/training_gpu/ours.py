"""`steper_ray`'s update on packs of synthetic trajectories: a plain process, or a rank under `torchrun`."""

import os
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from benchmarks.training.plan import Measured
from benchmarks.training.watch import Watch
from benchmarks.training_gpu.settings import Settings
from benchmarks.training_gpu.synthetic import pack_units
from benchmarks.training_gpu.weights import ensure_weights
from steper_ray.student.adapter import Adapter
from steper_ray.student.model import StudentSetup, build_student
from steper_ray.student.packing import make_pack
from steper_ray.student.ranks import Ranks, current_ranks
from steper_ray.train.sigma import StageSigmas
from steper_ray.train.state import TrainState, start_state
from steper_ray.train.update import take_update

SIGMA_RATE = 1e-2


def ours(settings: Settings, folder: Path) -> Measured:
    """Take all updates; tokens and targets are those of all ranks."""
    ranks = meet(settings, folder)
    # Every process has made a folder of its own unless one was named; the first rank's holds the weights.
    settings = replace(settings, folder=ranks.gather(settings.folder)[0])
    if ranks.first:
        ensure_weights(settings, ranks.device)
    ranks.wait()
    state = start(settings, ranks)
    watch, losses, targets = Watch(ranks.device, settings.warm_up), list[float](), 0
    for update in range(settings.warm_up + settings.updates):
        first = ranks.rank * settings.packs
        packs = [make_pack(pack_units(settings, update, first + number)) for number in range(settings.packs)]
        result = take_update(state, packs, rate=settings.rate, clip=1.0)
        state.update += 1
        watch.updated()
        losses.append(result.total)
        targets += result.target_tokens
    tokens = settings.pack_tokens * settings.packs * ranks.size * (settings.warm_up + settings.updates)
    return Measured(
        started=watch.started,
        ended=watch.ended,
        updates=watch.updates,
        tokens=tokens,
        computed_tokens=tokens,
        target_tokens=targets,
        loss=sum(losses) / len(losses),
        rest_mib=watch.rest_mib,
        peak_mib=watch.peak_mib,
    )


def meet(settings: Settings, folder: Path) -> Ranks:
    """Join the process group that `torchrun` prepared, or make one of this process alone."""
    device = torch.device(settings.device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    if "RANK" in os.environ:
        dist.init_process_group(backend)
    else:
        dist.init_process_group(backend, init_method=f"file://{folder / 'group'}", rank=0, world_size=1)
    return current_ranks(device)


def adapter_of(settings: Settings) -> Adapter | None:
    """LoRA's settings, where asked for."""
    return Adapter(settings.lora_rank, 2 * settings.lora_rank) if settings.lora_rank else None


def start(settings: Settings, ranks: Ranks) -> TrainState:
    """The state before the first update."""
    setup = StudentSetup(
        folder=settings.folder,
        adapter=adapter_of(settings),
        activation_checkpointing=settings.activation_checkpointing,
        reshard_after_forward=settings.reshard,
        **({"compile": True} if settings.compile else {}),
    )
    model = build_student(setup, init_device_mesh(ranks.device.type, (ranks.size,)), ranks)
    return start_state(model, StageSigmas(SIGMA_RATE, ranks.device), ranks, weight_decay=0.0)
