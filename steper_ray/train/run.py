"""`steper train`: check everything, tokenise, train on Ray Train's workers, export, say what came out."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steper_ray.config import Config
from steper_ray.drive.cluster import connect
from steper_ray.drive.lock import sole_writer
from steper_ray.drive.placement import SHARE
from steper_ray.errors import ConfigError, PhaseFailed
from steper_ray.runs import MANIFEST_FILE, Manifest, open_folder, read_manifest, write_json, write_manifest
from steper_ray.storage.folder import publish, tell_published
from steper_ray.telemetry.phase_log import PhaseLog
from steper_ray.train.checkpoint_folders import PLAN_FILE, torn_checkpoints
from steper_ray.train.inputs import (
    TrainInputs,
    check_chat,
    check_inputs,
    check_resources,
    claim_train_folder,
    warn_absent_stages,
)
from steper_ray.train.journal import read_journal, updates_of
from steper_ray.train.memory import ALLOCATOR
from steper_ray.train.prepare import prepare_job
from steper_ray.train.progress import TrainProgress, figures
from steper_ray.train.trackers import check_trackers

if TYPE_CHECKING:
    from steper_ray.train.job import TrainJob
    from steper_ray.train.plan import Plan

RAY_STATE = "ray"
"""Folder of what Ray Train itself notes in a train folder; checkpoints are found without it."""
PLACE_S, ELASTIC_PLACE_S = "1800", "30"
"""How long Ray Train waits for the workers' places: nodes with GPUs take minutes to come up. It learns of lost nodes
every 20 s: until then an elastic training waits for the place of a lost worker, and counts the nodes anew when this
time is up."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training made."""

    folder: Path
    weights: Path
    """Hugging Face folder."""
    updates: int
    counts: dict[str, int]


def train(config: Config) -> TrainResult:
    """Train the student and export its weights; continues what is in the folder.

    Raises:
        UserError: settings, samples or model are not usable; found before anything starts.
        EnvironmentFault: fewer CPUs or GPUs than asked for, or a tracker that is not installed.
        PhaseFailed: the loss became nan or infinite, a checkpoint could not be written, or workers died more often
            than train.max_failures.
    """
    inputs = check_inputs(config)
    check_chat(inputs)
    check_trackers(config.train.trackers)
    warn_absent_stages(config, inputs)
    folder = config.folder("train").absolute()
    with sole_writer(folder):
        fingerprint = claim_train_folder(folder, config, inputs)
        open_folder(folder, config)
        if done := _finished(folder, fingerprint):
            if config.train.uri:
                tell_published(publish(done.weights, config.train.uri), config.train.uri)
            return done
        connect(config.ray)
        check_resources(config)
        return _train(config, inputs, folder, fingerprint)


def _finished(folder: Path, fingerprint: str) -> TrainResult | None:
    """What an earlier execution of the same training made, if it came to its end."""
    from steper_ray.train.job import WEIGHTS

    weights = folder / WEIGHTS
    if not (folder / MANIFEST_FILE).exists() or not weights.exists():
        return None
    manifest = read_manifest(folder, "train", command="steper train")
    if manifest.fingerprint != fingerprint:
        return None
    result = TrainResult(folder, weights, manifest.facts["updates"], dict(manifest.counts))
    print(f"train: finished already, {result.updates} updates")
    _tell_next(result)
    return result


def _train(config: Config, inputs: TrainInputs, folder: Path, fingerprint: str) -> TrainResult:
    from steper_ray.train.forecast import forecast
    from steper_ray.train.job import WEIGHTS
    from steper_ray.train.room import check_memory
    from steper_ray.train.store import open_units

    job = prepare_job(config, inputs, folder)
    for place, fault in torn_checkpoints(folder).items():
        print(f"warning: {place.name} is left out: {fault}")
    with open_units(job.units) as store:
        plan = job.plan(store)
        sizes = [len(stages) for stages in store.stages]
        ahead = forecast(plan, store.stages, store.target_tokens(), config.train.workers)
    counts = count_samples(plan, sizes)
    assert sum(counts.values()) == inputs.count, "every sample is trained, held out or left out for a reason"
    if not plan.trained:
        shortest = min(plan.lengths)
        raise ConfigError(
            f"train.pack_tokens={plan.pack_tokens} fits no unit, the shortest has {shortest} tokens; raise it"
        )
    check_memory(config, inputs.model, ahead.heaviest)
    write_json(folder / PLAN_FILE, {"updates": plan.size})
    with PhaseLog(folder, "train", planned=plan.size, workers=job.section.workers):
        run_workers(job, plan)
    lines = read_journal(folder)
    updates = int(lines[-1]["update"])
    counts = count_samples(replace(plan, limit=updates), sizes)  # early stopping may have left some out
    facts = {"updates": updates, "preset": config.train.preset, "last": lines[-1], "weights": WEIGHTS}
    counts = {"samples": inputs.count, **counts}
    write_manifest(folder, Manifest("train", fingerprint, counts, facts))
    result = TrainResult(folder, folder / WEIGHTS, updates, counts)
    _tell(result, lines)
    if config.train.uri:
        tell_published(publish(result.weights, config.train.uri), config.train.uri)
    return result


def run_workers(job: "TrainJob", plan: "Plan") -> None:
    """Run a job on Ray Train's workers to its end, restarting them from the last checkpoint when one dies.

    Raises:
        PhaseFailed: a worker says why it cannot go on, or died too often.
    """
    from ray.train.torch import TorchConfig
    from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.exceptions import TrainingFailedError
    from ray.train.v2.torch.torch_trainer import TorchTrainer

    from steper_ray.core.loss import PRESETS
    from steper_ray.core.types import STAGE_TERMS
    from steper_ray.train.worker import train_worker

    section = job.section
    shutil.rmtree(job.folder / RAY_STATE, ignore_errors=True)  # Ray Train would trust it, however broken
    resources = {"CPU": float(section.cpus_per_worker)}
    if section.gpus_per_worker:
        resources["GPU"] = section.gpus_per_worker
    if section.resource:
        resources[section.resource] = SHARE
    function: Any = train_worker  # Ray's own types know of no return value
    trainer = TorchTrainer(
        function,
        train_loop_config={"job": job},
        # With GPUs also gloo: shards that are offloaded, and checkpoints written in the background, lie in the host.
        torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if section.gpus_per_worker else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=(section.workers_min, section.workers) if section.workers_min else section.workers,
            elastic_resize_monitor_interval_s=section.resize_s,
            use_gpu=section.gpus_per_worker > 0,
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name=RAY_STATE,
            storage_path=str(job.folder),
            failure_config=FailureConfig(max_failures=section.max_failures),
            worker_runtime_env={"env_vars": ALLOCATOR},
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )
    terms = [STAGE_TERMS[stage] for stage in PRESETS[section.preset].stages]
    place_s = ELASTIC_PLACE_S if section.workers_min else PLACE_S
    try:
        with _place_timeout(place_s), TrainProgress(job.folder, plan.size, terms):
            outcome: Any = trainer.fit()
    except TrainingFailedError as error:
        raise PhaseFailed(
            f"training stopped: {_reason(error)}; the same command continues from the last checkpoint in {job.folder}"
        ) from error
    if outcome.return_value:
        raise PhaseFailed(outcome.return_value)


@contextmanager
def _place_timeout(seconds: str) -> Iterator[None]:
    """Ray Train takes it from the environment alone; a user's value wins, and the next training may want another."""
    name = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
    if name in os.environ:
        yield
        return
    os.environ[name] = seconds
    try:
        yield
    finally:
        del os.environ[name]


def _reason(error: Exception) -> str:
    """The last line of each worker's error, once."""
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    texts = [str(failure).strip() for failure in failures.values()] or [str(error).strip()]
    return "; ".join(dict.fromkeys(text.splitlines()[-1] for text in texts if text)) or type(error).__name__


def count_samples(plan: "Plan", sizes: Sequence[int]) -> dict[str, int]:
    """Where the samples went; the counts add up to all of them. `sizes` is the number of samples of each unit."""
    reached = {unit for update in plan.updates() for pack in update.packs for unit in pack}
    groups = {
        "trained": reached,
        "held_out": set(plan.held_out),
        "dropped_too_long": set(plan.too_long),
        "not_reached": set(plan.trained) - reached,
    }
    counts = {name: sum(sizes[unit] for unit in units) for name, units in groups.items()}
    return {**counts, "not_in_preset": sum(sizes) - sum(counts.values())}


def _tell(result: TrainResult, lines: Sequence[dict[str, Any]]) -> None:
    updates = updates_of(lines)
    held_out = [line["held_out"] for line in lines if "held_out" in line]
    shown = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in result.counts.items() if number)
    print(f"train: {result.updates} updates; {shown}; {figures(updates[-1])}")
    if held_out:
        before, after = held_out[0], held_out[-1]
        print("held out: " + " · ".join(f"{name} {before[name]:.3f} → {after[name]:.3f}" for name in after))
    _tell_next(result)


def _tell_next(result: TrainResult) -> None:
    print(f"weights in {result.weights}")
    print(f"next: steper evaluate student.model={result.weights}")
