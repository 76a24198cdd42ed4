"""The vendors behind the trackers; each is imported only when it is asked for."""

import os
import time
import uuid
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from steper_ray.train.trackers import TRACKERS_FOLDER, TrackedRun, Tracker

EVENTS_FOLDER = "tensorboard"
"""Folder of TensorBoard's event files in a train folder."""
_PROJECT = "steper"


def open_tracker(name: str, run: TrackedRun) -> Tracker:
    """The tracker with a name of `trackers.TRACKERS`, ready for the updates after `run.after`."""
    kinds: dict[str, Callable[[TrackedRun], Tracker]] = {
        "tensorboard": Tensorboard,
        "wandb": Wandb,
        "mlflow": Mlflow,
    }
    return kinds[name](run)


class Tensorboard:
    """Event files in the train folder; works without a network."""

    def __init__(self, run: TrackedRun) -> None:
        """Begin a new event file that takes back what earlier ones say about updates that are made again."""
        self._writer = import_module("tensorboardX").SummaryWriter(
            str(run.folder / EVENTS_FOLDER),
            purge_step=run.after + 1,
            # Two files begun within a second would otherwise share a name.
            filename_suffix=f".{os.getpid()}.{uuid.uuid4().hex[:6]}",
        )

    def write(self, update: int, values: Mapping[str, float]) -> None:
        """Add points."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, update)
        # A killed worker loses what is not on disk, and updates before the last checkpoint are not made again.
        self._writer.flush()

    def close(self, *, failed: bool) -> None:  # noqa: ARG002
        """Write what is buffered."""
        self._writer.close()


class Wandb:
    """A run of Weights & Biases; account and mode are taken from its own environment variables."""

    def __init__(self, run: TrackedRun) -> None:
        """Begin a run, or resume the one that an earlier execution began in this folder."""
        name = _kept(run.folder, "wandb.id") or _keep(run.folder, "wandb.id", uuid.uuid4().hex[:12])
        self._run = import_module("wandb").init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=name,
            name=run.name,
            dir=str(run.folder / TRACKERS_FOLDER),
            config=dict(run.settings),
            resume="allow",
        )
        # A run's steps only grow: what it has already is not sent again.
        self._first = int(getattr(self._run, "starting_step", 0))

    def write(self, update: int, values: Mapping[str, float]) -> None:
        """Send figures."""
        if update >= self._first:
            self._run.log(dict(values), step=update)

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self._run.finish(exit_code=int(failed))


class Mlflow:
    """A run of MLflow: at `MLFLOW_TRACKING_URI`, else in a database in the train folder."""

    def __init__(self, run: TrackedRun) -> None:
        """Begin a run, or continue the one that an earlier execution began in this folder."""
        self._entities = import_module("mlflow.entities")
        place = (run.folder / TRACKERS_FOLDER).absolute()
        place.mkdir(exist_ok=True)
        address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{place / 'mlflow.db'}"
        self._client = import_module("mlflow").MlflowClient(tracking_uri=address)
        known = _kept(run.folder, "mlflow.id")
        self._id = known or _keep(run.folder, "mlflow.id", self._begin(run))
        self._seen: dict[str, int] = {}
        if known:
            self._client.update_run(known, status="RUNNING")
            for name in ("train/total", "held_out/selection"):
                steps = [point.step for point in self._client.get_metric_history(known, name)]
                self._seen[name] = max(steps, default=0)

    def _begin(self, run: TrackedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        identity = experiment.experiment_id if experiment else self._client.create_experiment(name)
        begun = self._client.create_run(identity, run_name=run.name)
        params = [self._entities.Param(key, str(value)[:500]) for key, value in run.settings.items()]
        self._client.log_batch(begun.info.run_id, params=params)
        return str(begun.info.run_id)

    def write(self, update: int, values: Mapping[str, float]) -> None:
        """Send figures; those that an earlier execution sent are not sent again, since MLflow keeps both."""
        if any(update <= seen and name in values for name, seen in self._seen.items()):
            return
        now = int(time.time() * 1000)
        metrics: list[Any] = [self._entities.Metric(name, value, now, update) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")


def _kept(folder: Path, name: str) -> str:
    path = folder / TRACKERS_FOLDER / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _keep(folder: Path, name: str, value: str) -> str:
    path = folder / TRACKERS_FOLDER / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(value + "\n", encoding="utf-8")
    return value
