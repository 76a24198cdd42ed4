"""The figures of the door: requests by route and status, how long they took, what they ended with."""

from steper_ray.serve.faults import FaultType
from steper_ray.serve.page import PATHS
from steper_ray.telemetry import metrics
from steper_ray.telemetry.instruments import Instruments
from steper_ray.telemetry.origin import Origin

ROUTES = ("/v1/answer", "/v1/answer/stream", "/v1/chat/completions", "/v1/models")
"""Routes with a name of their own in metrics."""
PAGE, OTHER = "page", "other"
CLIENT_GONE = 499
"""Status of a request whose client left before the answer ended, as proxies have it; never sent."""


class RequestMeters:
    """The metrics of one ingress."""

    def __init__(self, origin: Origin) -> None:
        self._to = Instruments({"run": origin.run}).add(metrics.SERVE_METRICS)
        self._to.begin(metrics.FAULTS, "type", [type.value for type in FaultType])
        self._to.set(metrics.REQUESTS_IN_FLIGHT, 0)
        self._in_flight = 0

    def begun(self) -> None:
        """A request came in."""
        self._in_flight += 1
        self._to.set(metrics.REQUESTS_IN_FLIGHT, self._in_flight)

    def ended(self, path: str, status: int, seconds: float, fault: str | None) -> None:
        """Its response has ended, or its client is gone (`CLIENT_GONE`); `fault` is a value of `FaultType`."""
        route = route_of(path)
        self._in_flight -= 1
        self._to.set(metrics.REQUESTS_IN_FLIGHT, self._in_flight)
        self._to.count(metrics.REQUESTS, route=route, status=str(status))
        self._to.observe(metrics.REQUEST, seconds, route=route)
        if fault:
            self._to.count(metrics.FAULTS, type=fault)


def route_of(path: str) -> str:
    """The label of a path: whoever asks for made-up paths shall not make up labels."""
    if path in ROUTES:
        return path
    return PAGE if path in PATHS or path == "/openapi.json" else OTHER
