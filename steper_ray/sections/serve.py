"""The section of the service."""

from pathlib import Path

from pydantic import Field

from steper_ray.sections.base import Positive, Section


class ServeSection(Section):
    """The student behind an HTTP endpoint."""

    index: Path | None = None
    """Index folder; empty: `index.folder`."""
    host: str = "127.0.0.1"
    """Interface to listen on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on."""
    loop_replicas: Positive = 2
    """Replicas of the loop."""
    engine_replicas: Positive = 1
    """Replicas of the student engine."""
    retriever_replicas: Positive = 1
    """Replicas of the retriever."""
    max_ongoing: Positive = 64
    """Questions in flight per loop replica."""
    max_queued: Positive = 128
    """Questions that wait for a loop replica; further ones are refused with 503."""
    deadline_s: float = Field(default=60.0, gt=0)
    """Longest time for one answer, seconds."""
    max_question_chars: Positive = 2000
    """Longest question."""
    max_body_bytes: Positive = 65_536
    """Longest body of a request."""
    start_timeout_s: float = Field(default=600.0, gt=0)
    """Longest wait for engine, index and loop to be ready, seconds."""
    force_answer: bool = True
    """At the step limit, write one more completion that continues `So the answer is:`."""
