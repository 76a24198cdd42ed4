"""What every rank does from start to end: build, resume, train, export. Free of Ray."""

import torch
from torch.distributed.device_mesh import init_device_mesh

from steper_ray.core.loss import PRESETS
from steper_ray.student.attention import check_isolation
from steper_ray.student.card import WeightsCard
from steper_ray.student.model import StudentSetup, build_student, gather_weights, reshard
from steper_ray.student.ranks import Ranks
from steper_ray.train.checkpoint import CheckpointWriter, load_checkpoint
from steper_ray.train.checkpoint_folders import checkpoint_folder, latest_checkpoint
from steper_ray.train.export import export_weights
from steper_ray.train.job import TrainJob
from steper_ray.train.journal import Journal
from steper_ray.train.loop import Leaving, train_updates
from steper_ray.train.meter import start_meter
from steper_ray.train.plan import Plan
from steper_ray.train.sigma import StageSigmas, default_rate
from steper_ray.train.state import TrainState, start_state
from steper_ray.train.store import open_units
from steper_ray.train.trackers import open_trackers
from steper_ray.train.watch import Unwatched, Watch

_UNWATCHED = Unwatched()


def run_job(job: TrainJob, ranks: Ranks, leaving: Leaving = lambda: False, watch: Watch = _UNWATCHED) -> None:
    """Train from the last whole checkpoint, or from the start, to the end of the plan or early stopping; then export.

    Needs a process group that holds all ranks; every rank runs this. The first rank's `watch` hears how it goes.
    """
    preset = PRESETS[job.section.preset]
    with open_units(job.units) as store:
        plan = job.plan(store)
        state = _start(job, plan, ranks)
        if checkpoint := ranks.agree(latest_checkpoint(job.folder)):
            load_checkpoint(checkpoint, state)
        section = job.section
        writer = CheckpointWriter(
            job.folder, ranks, section.keep_checkpoints, background=section.async_checkpoints, saved=watch.saved
        )
        meter = start_meter(job.model, job.adapter, getattr(torch, section.compute_dtype), ranks)
        with open_trackers(job.folder, section.trackers, state.update, writes=ranks.first) as trackers:
            journal = Journal(job.folder, writes=ranks.first, trackers=trackers, told=watch.line)
            journal.rewind(state.update or -1)  # before the first update nothing is kept
            watch.began(state.update, plan.size, ranks.size)
            train_updates(state, plan, store, section, preset.reduction, journal, writer.save, meter, leaving)
            writer.finish()
    if section.export == "best":
        _return_to_best(job, state)
    trained = gather_weights(state.model, ranks)
    if ranks.first:
        export_weights(
            job.folder, job.model, trained, job.adapter, _card(job, state), samples=job.samples, update=state.update
        )
        watch.exported(state.update)
    ranks.wait()


def _return_to_best(job: TrainJob, state: TrainState) -> None:
    best = state.selection.update
    if best is not None and best != state.update:
        load_checkpoint(checkpoint_folder(job.folder, best), state)


def _start(job: TrainJob, plan: Plan, ranks: Ranks) -> TrainState:
    section = job.section
    setup = StudentSetup(
        folder=job.model,
        adapter=job.adapter,
        compute_dtype=getattr(torch, section.compute_dtype),
        activation_checkpointing=section.activation_checkpointing,
        reshard_after_forward=section.reshard_after_forward,
        compile=section.compile,
        cpu_offload=section.cpu_offload,
        seed=job.seed,
    )
    model = build_student(setup, init_device_mesh(ranks.device.type, (ranks.size,)), ranks)
    check_isolation(model, ranks.device)
    reshard(model)
    rate = section.sigma_learning_rate or default_rate(plan.size)
    sigmas = StageSigmas(rate if PRESETS[section.preset].learned_sigma else None, ranks.device)
    return start_state(model, sigmas, ranks, section.weight_decay)


def _card(job: TrainJob, state: TrainState) -> WeightsCard:
    sigmas = tuple(state.sigmas.log_sigma.exp().tolist())
    return WeightsCard(job.loop, job.prompt_version, job.section.preset, sigmas)
