"""Metrics as Ray's instruments. They take values with and without a Ray that exports them, at about 2 µs each."""

import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from ray.util import metrics as ray_metrics

from steper_ray.telemetry.metrics import Kind, Metric

REFRESH_S = 1.0
"""Ray hands a gauge on once per value that is set, and its agents forget what is not told again."""


class Instruments:
    """Some of our metrics in this process; `fixed` are the labels that are the same for all of its values.

    Gauges keep their value until they are set again or the process ends.
    """

    def __init__(self, fixed: Mapping[str, str]) -> None:
        # Ray takes ASCII alone.
        self._fixed = {label: value if value.isascii() else quote(value) for label, value in fixed.items()}
        self._counters: dict[str, ray_metrics.Counter] = {}
        self._gauges: dict[str, ray_metrics.Gauge] = {}
        self._histograms: dict[str, ray_metrics.Histogram] = {}
        self._standing: dict[tuple[str, tuple[str, ...]], tuple[float, dict[str, str]]] = {}

    def add(self, metrics: Iterable[Metric]) -> "Instruments":
        """Make instruments of these metrics."""
        for metric in metrics:
            description = f"{metric.meaning} ({metric.unit})"
            match metric.kind:
                case Kind.COUNTER:
                    self._counters[metric.name] = ray_metrics.Counter(metric.name, description, metric.labels)
                case Kind.GAUGE:
                    self._gauges[metric.name] = ray_metrics.Gauge(metric.name, description, metric.labels)
                case Kind.HISTOGRAM:
                    self._histograms[metric.name] = ray_metrics.Histogram(
                        metric.name, description, list(metric.bounds), metric.labels
                    )
        return self

    def begin(self, metric: Metric, label: str = "", values: Iterable[str] = ("",)) -> None:
        """Let a counter stand at 0 for these values of a label, so that its first rise is seen as one."""
        counter = self._counters[metric.name]
        for value in values:
            # `inc` refuses 0.
            counter._record(0.0, {**self._fixed, **({label: value} if label else {})})

    def count(self, metric: Metric, by: float = 1, **labels: str) -> None:
        """Raise a counter."""
        if by > 0:
            self._counters[metric.name].inc(by, {**self._fixed, **labels})

    def set(self, metric: Metric, value: float | None, **labels: str) -> None:
        """Set a gauge; None leaves it as it is."""
        if value is None:
            return
        everything = {**self._fixed, **labels}
        self._gauges[metric.name].set(value, everything)
        if not self._standing:
            threading.Thread(target=_refresh, args=(weakref.ref(self),), name="gauges", daemon=True).start()
        self._standing[metric.name, tuple(everything.values())] = value, everything

    def tell_again(self) -> None:
        """Set every gauge to the value it has."""
        for (name, _), (value, labels) in list(self._standing.items()):
            self._gauges[name].set(value, labels)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Put a value into a histogram."""
        self._histograms[metric.name].observe(value, {**self._fixed, **labels})


def _refresh(instruments: "weakref.ref[Instruments]") -> None:
    while True:
        time.sleep(REFRESH_S)
        alive = instruments()
        if alive is None:
            return
        alive.tell_again()
        del alive
