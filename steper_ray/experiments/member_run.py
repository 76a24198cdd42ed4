"""One part of an ablation: a training with its evaluations, or evaluations alone; finished ones are skipped."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.config import Config
from steper_ray.drive.unfinished import left_over
from steper_ray.errors import PhaseFailed
from steper_ray.runs import MANIFEST_FILE, read_manifest, write_json

DONE_FILE = "done.json"


@dataclass(frozen=True, slots=True)
class MemberRun:
    """What is done for one training; crosses processes as it is."""

    name: str
    folder: Path
    train: Config | None
    """None for what is not trained."""
    evaluations: tuple[Config, ...]
    inputs: str
    """Digest of what all members read: the settings have its paths alone."""
    keep_checkpoints: bool

    @property
    def fingerprint(self) -> str:
        """Changes with every setting of the phases, with the samples and with what else is read."""
        parts = [self.train, *self.evaluations]
        told = [config.model_dump(mode="json", exclude={"ablate", "ray"}) for config in parts if config]
        places = [config.train.samples for config in parts if config] + [c.evaluate.samples for c in self.evaluations]
        made = [_samples(place) for place in places if place]
        return hashlib.sha256(json.dumps([told, made, self.inputs], sort_keys=True).encode()).hexdigest()[:16]

    @property
    def done(self) -> bool:
        """Whether an earlier execution finished just this."""
        try:
            found = json.loads((self.folder / DONE_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(found, dict) and found.get("fingerprint") == self.fingerprint


def run_member(run: MemberRun) -> str:
    """Train and evaluate; what an earlier execution left in the folder is continued.

    Returns:
        Why it could not be finished, nothing when it was: questions that another run may finish are a reason too.
        What is the user's to mend is raised.

    Raises:
        UserError: settings, samples, questions or model are not usable.
        EnvironmentFault: the machine lacks something.
    """
    from steper_ray.evaluate.run import evaluate
    from steper_ray.train.checkpoint_folders import CHECKPOINTS
    from steper_ray.train.run import train

    try:
        if run.train is not None:
            train(run.train)
        for config in run.evaluations:
            evaluate(config)
    except PhaseFailed as error:
        return str(error)
    if left := _left_over(run.evaluations):
        return left
    if run.train is not None and not run.keep_checkpoints:
        shutil.rmtree(run.train.folder("train") / CHECKPOINTS, ignore_errors=True)
    run.folder.mkdir(parents=True, exist_ok=True)
    write_json(run.folder / DONE_FILE, {"fingerprint": run.fingerprint})
    return ""


def run_members(runs: Sequence[MemberRun], parallel: int) -> dict[str, str]:
    """Do all that is not done, so many at a time; returns why some could not be finished, by name."""
    left = [run for run in runs if not run.done]
    for run in runs:
        if run not in left:
            print(f"ablate: {run.name} is finished already")
    if parallel > 1:
        return _in_parallel(left, parallel)
    failed: dict[str, str] = {}
    for number, run in enumerate(left, start=1):
        print(f"ablate: {run.name} ({number} of {len(left)})", flush=True)
        if why := run_member(run):
            failed[run.name] = why
    return failed


def _in_parallel(runs: Sequence[MemberRun], parallel: int) -> dict[str, str]:
    """Each in a process of its own on the cluster; its training and engines ask for CPUs and GPUs as ever."""
    import ray

    task = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(run_member)
    waiting, failed = list(runs), {}
    under_way: dict[Any, MemberRun] = {}
    while waiting or under_way:
        while waiting and len(under_way) < parallel:
            run = waiting.pop(0)
            print(f"ablate: {run.name} begins", flush=True)
            under_way[task.remote(run)] = run
        (ended,), _ = ray.wait(list(under_way), num_returns=1)
        run = under_way.pop(ended)
        try:
            why = str(ray.get(ended))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            why = f"its process died: {error}"
        print(f"ablate: {run.name} {'failed: ' + why if why else 'is finished'}", flush=True)
        if why:
            failed[run.name] = why
    return failed


def _left_over(evaluations: Sequence[Config]) -> str:
    """What the evaluations left to another run: it would be scored 0 and frozen."""
    told = {
        config.evaluate.system: left_over(
            read_manifest(config.folder("evaluate"), "evaluate", command="steper evaluate").counts
        )
        for config in evaluations
    }
    return "; ".join(f"{system}: {why}" for system, why in told.items() if why)


def _samples(folder: Path) -> object:
    """What its manifest says, but for the time."""
    values = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    return {name: values[name] for name in ("fingerprint", "counts", "facts")}
