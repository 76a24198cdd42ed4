"""Every error that a user may meet, and the exit code each one ends the process with.

SteperError
├── UserError             exit 2: something the user gave us is wrong; nothing was started
│   ├── ConfigError           a key or value of the configuration
│   ├── InputError            a file: corpus, questions, chains, samples, predictions
│   └── RunFolderError        a run or data folder that does not fit the command
├── EnvironmentFault      exit 3: the machine lacks something (JVM, memory, a wheel, GPUs)
├── PhaseFailed           exit 1: a phase started and could not finish; it can be continued
├── ServiceError          exit 1: a running service answers with an error
└── BackendError          one call to a model or retriever failed; recorded per question, never ends a job by itself
"""

import copyreg
from collections.abc import Callable
from pathlib import Path
from typing import Any


class SteperError(Exception):
    """Root of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class UserError(SteperError):
    """Bad input, found before any expensive work."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration key or value: `ConfigError("generate.k must be at least 1, found 0", source="x.yaml")`."""

    def __init__(self, message: str, source: str | Path | None = None) -> None:
        super().__init__(f"{message} ({source})" if source else message)


class InputError(UserError):
    """A file given by the user, with the place of the fault and what to do about it."""

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path,
        line: int | None = None,
        field: str | None = None,
        found: object = None,
        remedy: str = "",
    ) -> None:
        place = str(file) + (f", line {line}" if line is not None else "") + (f", field '{field}'" if field else "")
        shown = "" if found is None else f"; found {_shorten(found)}"
        super().__init__(f"{place}: {problem}{shown}" + (f". {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return copyreg.__newobj__, (type(self), *self.args)  # type: ignore[attr-defined]


class RunFolderError(UserError):
    """A run or data folder that cannot be used as asked."""


class EnvironmentFault(SteperError):
    """The machine lacks something; the remedy is part of the message."""

    exit_code = 3

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}. {remedy}")
        self.what, self.remedy = what, remedy

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.what, self.remedy)


class PhaseFailed(SteperError):
    """A phase that started could not finish; the message says how to continue."""


class ServiceError(SteperError):
    """A running service answers with an error; `type` is its own word for it, such as `overloaded`."""

    def __init__(self, type: str, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.type, self.retry_after_s = type, retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, (self.type, str(self), self.retry_after_s)


class BackendError(SteperError):
    """One call to a language model or retriever failed; `kind` is a value of `core.types.FailureKind`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.kind, str(self))


def _shorten(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
