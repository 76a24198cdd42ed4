"""A `Watch` that sets metrics and writes the log; made on the first rank, in Ray's worker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steper_ray.core.types import STAGE_TERMS
from steper_ray.telemetry import metrics
from steper_ray.telemetry.instruments import Instruments
from steper_ray.telemetry.log import Level, open_log
from steper_ray.telemetry.origin import Origin

PART = "rank-0"
"""Of the log: the driver writes one of its own."""


class Telling:
    """Of the training in a folder."""

    def __init__(self, folder: Path) -> None:
        self._to = Instruments({"run": Origin.of(folder, "train").run}).add(metrics.TRAIN_METRICS)
        self._to.begin(metrics.TRAIN_STARTS, "after", ("nothing", "checkpoint"))
        self._log = open_log(folder, "train", PART)

    def began(self, after: int, planned: int, workers: int) -> None:
        """The workers are ready; behind a checkpoint the log says so."""
        self._to.count(metrics.TRAIN_STARTS, after="checkpoint" if after else "nothing")
        self._to.set(metrics.PLANNED, planned)
        self._to.set(metrics.UPDATE, after)
        self._to.set(metrics.WORKERS, workers)
        facts: dict[str, Any] = {"after": after, "planned": planned, "workers": workers}
        if after:
            self._log.tell("workers_resumed", Level.WARNING, **facts)
        else:
            self._log.tell("workers_started", **facts)

    def line(self, line: Mapping[str, Any]) -> None:
        """Figures of an update or of a held-out evaluation."""
        held_out = line.get("held_out")
        if held_out is not None:
            for term in STAGE_TERMS.values():
                self._to.set(metrics.HELD_OUT_LOSS, held_out.get(f"L_{term}"), stage=term)
                self._to.set(metrics.HELD_OUT_ACCURACY, held_out.get(f"accuracy_{term}"), stage=term)
            self._log.tell("held_out", update=line["update"], **held_out)
            return
        self._to.count(metrics.UPDATES)
        self._to.set(metrics.UPDATE, line["update"])
        self._to.set(metrics.TOTAL_LOSS, line["total"])
        for term in STAGE_TERMS.values():
            self._to.set(metrics.STAGE_LOSS, line[f"L_{term}"], stage=term)
            self._to.set(metrics.SIGMA, line[f"sigma_{term}"], stage=term)
        self._to.set(metrics.LEARNING_RATE, line["lr"])
        self._to.set(metrics.GRADIENT_NORM, line["grad_norm"])
        self._to.count(metrics.TRAIN_TOKENS, line["tokens"], kind="all")
        self._to.count(metrics.TRAIN_TOKENS, line["target_tokens"], kind="target")
        self._to.set(metrics.SPEED, line["tokens_per_s"])
        self._to.set(metrics.PEAK, line["peak_share"])
        self._to.set(metrics.WORKERS, line["workers"])

    def saved(self, update: int, seconds: float) -> None:
        """A checkpoint is complete."""
        self._to.set(metrics.CHECKPOINT, update)
        self._to.observe(metrics.CHECKPOINT_SECONDS, seconds)
        self._log.tell("checkpoint_written", update=update, seconds=round(seconds, 3))

    def exported(self, update: int) -> None:
        """The weights of an update are written."""
        self._log.tell("weights_written", update=update)
