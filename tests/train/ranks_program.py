"""Run by the tests as one rank of a gloo group: losses and gradients of scenarios, then two updates and a checkpoint.

    python ranks_program.py FOLDER RANK SIZE

Writes `FOLDER/result-SIZE-RANK.pt`. Also imported by the tests, for the scenarios and the group of one process.
"""

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from steper_ray.core.loss import StageReduction
from steper_ray.core.types import STAGES
from steper_ray.student.adapter import Adapter
from steper_ray.student.model import StudentSetup, build_student, gather_weights, named_weights
from steper_ray.student.packing import Pack, idle_pack, make_pack
from steper_ray.student.ranks import Ranks, current_ranks
from steper_ray.student.units import Segment, Unit
from steper_ray.train.checkpoint import CheckpointWriter
from steper_ray.train.plan import PlannedUpdate
from steper_ray.train.sigma import StageSigmas
from steper_ray.train.state import TrainState, start_state
from steper_ray.train.update import accumulate, take_update

VOCABULARY = 200
CPU = torch.device("cpu")
INIT, EXP, AGG = STAGES
LOG_SIGMA = (0.3, -0.2, 0.1)
ADAPTER = Adapter(rank=4, alpha=8)

WHOLE = [(INIT, 12, 5), (EXP, 9, 4), (AGG, 7, 6)]
NO_EXPANSION = [(INIT, 10, 7), (AGG, 8, 3)]
LAST = [(AGG, 11, 5)]

SCENARIOS: dict[str, tuple[StageReduction, list[list[Any]]]] = {
    "one pack each": (StageReduction.TOKEN, [[WHOLE], [WHOLE, NO_EXPANSION]]),
    "a rank lacks a stage, accumulated": (StageReduction.TOKEN, [[WHOLE], [NO_EXPANSION], [WHOLE, LAST], [LAST]]),
    "a stage absent altogether": (StageReduction.TOKEN, [[NO_EXPANSION], [LAST, LAST]]),
    "an idle rank": (StageReduction.TOKEN, [[WHOLE, NO_EXPANSION]]),
    "an idle pass": (StageReduction.TOKEN, [[WHOLE], [NO_EXPANSION], [LAST]]),
    "means over samples": (StageReduction.SAMPLE, [[WHOLE], [NO_EXPANSION], [LAST]]),
}
"""Packs of trajectories; pack i goes to rank i mod size."""


def units_of(packs: list[list[Any]]) -> list[list[Unit]]:
    return [[_unit(f"{i}-{j}", turns) for j, turns in enumerate(pack)] for i, pack in enumerate(packs)]


def _unit(name: str, turns: list[Any]) -> Unit:
    segments, length = [], 0
    for number, (stage, shown, target) in enumerate(turns):
        segments.append(Segment(f"{name}#{number}", stage, length + shown, length + shown + target))
        length += shown + target
    source = random.Random(name)
    ids = np.array([source.randrange(VOCABULARY) for _ in range(length)], dtype=np.int32)
    return Unit(name, name, ids, tuple(segments))


def packs_of(packs: list[list[Any]], reduction: StageReduction, ranks: Ranks) -> list[Pack]:
    numbers = PlannedUpdate(1, 0, tuple((number,) for number in range(len(packs)))).passes(ranks.rank, ranks.size)
    units = units_of(packs)
    return [make_pack(units[mine[0]], reduction) if mine else idle_pack() for mine in numbers]


def state_of(folder: Path, ranks: Ranks, adapter: Adapter | None = None, **options: Any) -> TrainState:
    setup = StudentSetup(folder / "model", adapter, torch.float32, **options)
    model = build_student(setup, init_device_mesh("cpu", (ranks.size,)), ranks)
    sigmas = StageSigmas(1e-2, CPU)
    sigmas.load_state_dict({**sigmas.state_dict(), "log_sigma": torch.tensor(LOG_SIGMA)})
    return start_state(model, sigmas, ranks, weight_decay=0.0)


def gradients(state: TrainState) -> dict[str, Tensor]:
    """Whole gradients by name; every rank must call it."""
    found = {}
    for name, parameter in named_weights(state.model):
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            found[name] = parameter.grad.full_tensor().clone()  # type: ignore[attr-defined]
    return found


def losses_and_gradients(folder: Path, ranks: Ranks) -> dict[str, Any]:
    results: dict[str, Any] = {}
    state, adapted = state_of(folder, ranks), state_of(folder, ranks, ADAPTER)
    for name, (reduction, packs) in SCENARIOS.items():
        state.optimizer.zero_grad()
        done = accumulate(state, packs_of(packs, reduction, ranks))
        results[name] = {"total": done.total, "means": done.means, "gradients": gradients(state)}
    reduction, packs = SCENARIOS["a rank lacks a stage, accumulated"]
    done = accumulate(adapted, packs_of(packs, reduction, ranks))
    results["adapter"] = {"total": done.total, "means": done.means, "gradients": gradients(adapted)}
    return results


def two_updates(state: TrainState) -> None:
    for name in ("one pack each", "a stage absent altogether"):
        reduction, packs = SCENARIOS[name]
        take_update(state, packs_of(packs, reduction, state.ranks), rate=1e-2, clip=1.0)
        state.update += 1


def main(folder: Path, rank: int, size: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / f'group-{size}'}", rank=rank, world_size=size)
    ranks = current_ranks(CPU)
    results = losses_and_gradients(folder, ranks)
    for kind, adapter in (("all", None), ("adapter", ADAPTER)):
        state = state_of(folder, ranks, adapter)
        two_updates(state)
        CheckpointWriter(folder / f"trained-{kind}-{size}", ranks, keep=2).save(state)
        results[f"trained {kind}"] = gather_weights(state.model, ranks)
        results[f"sigma {kind}"] = state.sigmas.log_sigma
    torch.save(results, folder / f"result-{size}-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
