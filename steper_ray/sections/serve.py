"""The section of the service."""

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from steper_ray.sections.base import Positive, Section

Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")]


class ServeSection(Section):
    """The student behind an HTTP endpoint."""

    index: Path | None = None
    """Index folder; empty: `index.folder`."""
    host: str = "127.0.0.1"
    """Interface to listen on; any but localhost needs `keys`."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on."""
    loop_replicas: Positive = 2
    """Replicas of the loop."""
    engine_replicas: Positive = 1
    """Replicas of the student engine; the least of them with `engine_replicas_max`."""
    engine_replicas_max: Positive | None = None
    """Most engines when Serve adds and removes them by the requests in flight; empty: their number is fixed."""
    engine_target_ongoing: Positive = 32
    """Requests in flight per engine that Serve then aims at."""
    engine_surge_percent: int = Field(default=0, ge=0, le=100)
    """New engines that a reload loads beside the old ones, per cent; 0 needs no further memory, and questions wait."""
    retriever_replicas: Positive = 1
    """Replicas of the retriever; the least of them with `retriever_replicas_max`."""
    retriever_replicas_max: Positive | None = None
    """Most retrievers; as `engine_replicas_max`."""
    retriever_target_ongoing: Positive = 8
    """Searches in flight per retriever that Serve then aims at."""
    upscale_delay_s: float = Field(default=30.0, gt=0)
    """How long more requests must be in flight before a replica is added, seconds."""
    downscale_delay_s: float = Field(default=600.0, gt=0)
    """How long fewer must be in flight before one is taken away, seconds; an engine takes long to start."""
    max_ongoing: Positive = 64
    """Questions in flight per loop replica."""
    max_queued: Positive = 128
    """Questions that wait for a loop replica; further ones are refused with 503."""
    deadline_s: float = Field(default=60.0, gt=0)
    """Longest time for one answer, seconds; then comes what there is, marked as partial."""
    health_timeout_s: float = Field(default=10.0, gt=0)
    """A replica that stays silent three times so long, in seconds, is replaced."""
    model_name: str = Field(default="steper", pattern=r"^[\w.:/-]{1,64}$")
    """What `/v1/models` and `/v1/chat/completions` call the service."""
    max_question_chars: Positive = 2000
    """Longest question."""
    max_body_bytes: Positive = 65_536
    """Longest body of a request."""
    body_timeout_s: float = Field(default=10.0, gt=0)
    """Longest time for the body of a request to arrive, seconds."""
    keys: Path | None = None
    """File of API keys, made with `steper keys add`; empty: no keys, and the service answers only to localhost."""
    key_per_minute: Positive = 120
    """Requests a key may send per minute, unless its entry in the file says otherwise; per ingress replica."""
    key_concurrent: Positive = 16
    """Requests a key may have open at a time, unless its entry in the file says otherwise; per ingress replica."""
    cors_origins: tuple[Origin, ...] = ()
    """Origins (`https://example.org`) whose pages may call the service from a browser; none, and no wildcard."""
    start_timeout_s: float = Field(default=600.0, gt=0)
    """Longest wait for engine, index and loop to be ready, seconds."""
    force_answer: bool = True
    """At the step limit, write one more completion that continues `So the answer is:`."""

    @model_validator(mode="after")
    def _most_is_not_less_than_least(self) -> "ServeSection":
        for role in ("engine", "retriever"):
            least, most = getattr(self, f"{role}_replicas"), getattr(self, f"{role}_replicas_max")
            if most is not None and most < least:
                raise ValueError(
                    f"serve.{role}_replicas_max must be at least serve.{role}_replicas={least}, found {most}"
                )
        return self


def is_loopback(host: str) -> bool:
    """Whether a name or address can be reached from its own machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
