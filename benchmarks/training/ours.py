"""`steper_ray`'s own update on packs, in one process or as one of several ranks, without Ray."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from benchmarks.training.plan import Measured, Plan
from benchmarks.training.watch import Watch
from benchmarks.training.workload import read_workload
from steper_ray.student.grouping import pack_lengths
from steper_ray.student.model import StudentSetup, build_student
from steper_ray.student.packing import Pack, idle_pack, make_pack
from steper_ray.student.ranks import Ranks, current_ranks
from steper_ray.student.units import Unit
from steper_ray.train.sigma import StageSigmas, default_rate
from steper_ray.train.state import start_state
from steper_ray.train.update import UpdateResult, take_update

CPU = torch.device("cpu")
MEETING_S = 300
"""Ranks that wait longer for each other have lost one."""


def ours(plan: Plan, layout: str, folder: Path, rank: int = 0, size: int = 1) -> Measured:
    """Take all updates; with several ranks, each of them calls this with the same folder."""
    torch.set_num_threads(plan.threads // size)
    meeting = f"file://{folder / 'group'}"
    dist.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=size, timeout=timedelta(seconds=MEETING_S)
    )
    ranks = current_ranks(CPU)
    updates = [update[layout] for update in read_workload(plan.workload, plan.part)]
    model = build_student(StudentSetup(plan.model), init_device_mesh("cpu", (size,)), ranks)
    state = start_state(model, StageSigmas(default_rate(len(updates)), CPU), ranks, weight_decay=0.0)
    watch, losses, targets = Watch(CPU), list[float](), 0
    for units in updates:
        result = take_update(state, packs_of(units, plan.pack_tokens, ranks), rate=plan.rate, clip=plan.clip)
        state.update += 1
        watch.updated()
        losses.append(token_loss(result, units))
        targets += result.target_tokens
    peak_mib = watch.peak_mib
    dist.destroy_process_group()
    tokens = sum(len(unit) for units in updates for unit in units)
    return Measured(
        started=watch.started,
        ended=watch.ended,
        updates=watch.updates,
        tokens=tokens,
        computed_tokens=tokens,
        target_tokens=targets,
        loss=sum(losses) / len(losses),
        rest_mib=watch.rest_mib,
        peak_mib=peak_mib,
    )


def ours_in_ranks(plan: Plan, layout: str, folder: Path, size: int) -> Measured:
    """The same in as many processes, of which the first one's clock counts."""
    threads = {"OMP_NUM_THREADS": str(plan.threads // size)}
    results = [folder / f"rank-{rank}.json" for rank in range(size)]
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.training", f"{layout}:{rank}/{size}", plan.to_json(), folder, result],
            env={**os.environ, **threads},
        )
        for rank, result in enumerate(results)
    ]
    codes = [child.wait() for child in children]
    assert not any(codes), f"ranks ended with codes {codes}"
    return Measured(**json.loads(results[0].read_text(encoding="utf-8")))


def packs_of(units: Sequence[Unit], pack_tokens: int, ranks: Ranks) -> list[Pack]:
    """This rank's packs of an update: pack i goes to rank i mod size, idle ones fill up."""
    groups = pack_lengths([len(unit) for unit in units], pack_tokens)
    packs = [make_pack([units[number] for number in group]) for group in groups[ranks.rank :: ranks.size]]
    most = -(-len(groups) // ranks.size)
    return [*packs, *(idle_pack() for _ in range(most - len(packs)))]


def token_loss(result: UpdateResult, units: Sequence[Unit]) -> float:
    """Mean cross entropy over an update's target tokens, from the stage means."""
    counts = make_pack(units).counts.tolist()
    summed = sum(mean * count for mean, count in zip(result.losses, counts, strict=True) if mean is not None)
    return float(summed / sum(counts))
