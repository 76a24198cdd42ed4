"""Everything a request may be answered with instead of an answer: typed, as `{"error": {"type", "message"}}`."""

from enum import StrEnum
from typing import Any

from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError


class FaultType(StrEnum):
    """What went wrong, in the words of the response."""

    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    UNANSWERABLE = "unanswerable"
    """The student cannot take this question, however often it is asked."""
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    """Student, index or loop is down or starting; another try can help."""
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INTERNAL = "internal"

    @property
    def status(self) -> int:
        """The HTTP status that goes with it."""
        return _STATUS[self]

    @property
    def retry_after_s(self) -> int | None:
        """Seconds after which another try can help; None where none can."""
        return _RETRY_AFTER_S.get(self)

    @property
    def sentence(self) -> str:
        """An example of a message."""
        return _SENTENCES[self]


_STATUS = {
    FaultType.INVALID_REQUEST: 422,
    FaultType.NOT_FOUND: 404,
    FaultType.METHOD_NOT_ALLOWED: 405,
    FaultType.BODY_TOO_LARGE: 413,
    FaultType.UNANSWERABLE: 422,
    FaultType.OVERLOADED: 503,
    FaultType.UNAVAILABLE: 503,
    FaultType.DEADLINE_EXCEEDED: 504,
    FaultType.INTERNAL: 500,
}
_SENTENCES = {
    FaultType.INVALID_REQUEST: "question: is missing",
    FaultType.NOT_FOUND: "Not Found",
    FaultType.METHOD_NOT_ALLOWED: "Method Not Allowed",
    FaultType.BODY_TOO_LARGE: "the body is longer than 65536 bytes",
    FaultType.UNANSWERABLE: "step 1: the prompt exceeds 2048 tokens even without new passages",
    FaultType.OVERLOADED: "too many questions are waiting; ask again later",
    FaultType.UNAVAILABLE: "student and index are not ready after 10 s",
    FaultType.DEADLINE_EXCEEDED: "no step was finished within the deadline",
    FaultType.INTERNAL: "KeyError; the service's log says more",
}
_RETRY_AFTER_S = {FaultType.OVERLOADED: 1, FaultType.UNAVAILABLE: 5}


class Fault(Exception):
    """Ends a request with a typed error."""

    def __init__(self, type: FaultType, message: str) -> None:
        super().__init__(message)
        self.type = type

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` in seconds, where another try can help."""
        after = self.type.retry_after_s
        return {} if after is None else {"Retry-After": str(after)}

    def body(self) -> dict[str, Any]:
        """The JSON of the response."""
        return {"error": {"type": self.type.value, "message": str(self)}}


def fault_of(error: BackendError) -> Fault:
    """What a failed model or retriever means to whoever asked."""
    kind = FailureKind(error.kind)
    if kind is FailureKind.TIMEOUT:
        return Fault(FaultType.DEADLINE_EXCEEDED, str(error))
    return Fault(FaultType.UNAVAILABLE if kind.transient else FaultType.UNANSWERABLE, str(error))
