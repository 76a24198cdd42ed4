"""Everything a request may be answered with instead of an answer: typed, as `{"error": {"type", "message"}}`."""

from enum import StrEnum
from typing import Any

from steper_ray.core.types import FailureKind
from steper_ray.errors import BackendError


class FaultType(StrEnum):
    """What went wrong, in the words of the response."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    """An API key is needed, and none or none that is valid was sent."""
    FORBIDDEN = "forbidden"
    """A service without keys was called by a name that is not this machine's own."""
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"
    UNANSWERABLE = "unanswerable"
    """The student cannot take this question, however often it is asked."""
    RATE_LIMITED = "rate_limited"
    """This API key has used up what it may."""
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
    FaultType.UNAUTHENTICATED: 401,
    FaultType.FORBIDDEN: 403,
    FaultType.NOT_FOUND: 404,
    FaultType.METHOD_NOT_ALLOWED: 405,
    FaultType.BODY_TOO_LARGE: 413,
    FaultType.BODY_TOO_SLOW: 408,
    FaultType.UNANSWERABLE: 422,
    FaultType.RATE_LIMITED: 429,
    FaultType.OVERLOADED: 503,
    FaultType.UNAVAILABLE: 503,
    FaultType.DEADLINE_EXCEEDED: 504,
    FaultType.INTERNAL: 500,
}
_SENTENCES = {
    FaultType.INVALID_REQUEST: "question: is missing",
    FaultType.UNAUTHENTICATED: "an API key is needed: send the header `Authorization: Bearer KEY`",
    FaultType.FORBIDDEN: "this service has no API keys and answers only to localhost",
    FaultType.NOT_FOUND: "Not Found",
    FaultType.METHOD_NOT_ALLOWED: "Method Not Allowed",
    FaultType.BODY_TOO_LARGE: "the body is longer than 65536 bytes",
    FaultType.BODY_TOO_SLOW: "the body did not arrive within 10 s",
    FaultType.UNANSWERABLE: "the student refuses this question",
    FaultType.RATE_LIMITED: "this key may send 120 requests a minute",
    FaultType.OVERLOADED: "too many questions are waiting; ask again later",
    FaultType.UNAVAILABLE: "student and index are not ready after 10 s",
    FaultType.DEADLINE_EXCEEDED: "no step was finished within the deadline",
    FaultType.INTERNAL: "an unexpected error (KeyError); the service's log says more",
}
_TOLD = {
    FailureKind.TIMEOUT: "no step was finished within the deadline",
    FailureKind.ENGINE: "the student's engine failed",
    FailureKind.RETRIEVER: "the search failed",
    FailureKind.ENDPOINT: "the student's endpoint failed",
    FailureKind.PROMPT_TOO_LONG: "the prompt is longer than the student can read, even without new passages; ask a "
    "shorter question, or with fewer steps",
    FailureKind.REFUSED: "the student refuses this question",
    FailureKind.NO_RECORDING: "there is no recording of this question",
    FailureKind.UNEXPECTED: "an unexpected error; the service's log says more",
}
_RETRY_AFTER_S = {FaultType.RATE_LIMITED: 1, FaultType.OVERLOADED: 1, FaultType.UNAVAILABLE: 5}


class Fault(Exception):
    """Ends a request with a typed error."""

    def __init__(self, type: FaultType, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.type = type
        self._retry_after_s = type.retry_after_s if retry_after_s is None else retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` in seconds, where another try can help; what a client without a key needs to know."""
        headers = {"WWW-Authenticate": "Bearer"} if self.type is FaultType.UNAUTHENTICATED else {}
        return headers if self._retry_after_s is None else {**headers, "Retry-After": str(self._retry_after_s)}

    def body(self) -> dict[str, Any]:
        """The JSON of the response."""
        return {"error": {"type": self.type.value, "message": str(self)}}


def fault_of(error: BackendError) -> Fault:
    """What a failed model or retriever means to whoever asked."""
    kind = FailureKind(error.kind)
    if kind is FailureKind.TIMEOUT:
        return Fault(FaultType.DEADLINE_EXCEEDED, sentence_of(kind))
    return Fault(FaultType.UNAVAILABLE if kind.transient else FaultType.UNANSWERABLE, sentence_of(kind))


def sentence_of(kind: FailureKind) -> str:
    """What a client is told of a failure: never the backend's own words, which may hold paths, hosts or Java's."""
    return _TOLD[kind]


def unexpected(error: Exception) -> Fault:
    """Of an error that nobody foresaw: its kind alone, since its words may hold what is no client's business."""
    return Fault(FaultType.INTERNAL, f"an unexpected error ({type(error).__name__}); the service's log says more")
