"""`steper ask`: one question to a running service; its steps as they come, and the answer."""

from pathlib import Path

from rich.console import Console

from steper_ray.client import Client, Event
from steper_ray.core.text import printable
from steper_ray.errors import PhaseFailed, ServiceError, UserError
from steper_ray.serve.faults import FaultType
from steper_ray.serve.show import StepsShown, figures, verdict

_REFUSED = (
    FaultType.INVALID_REQUEST,
    FaultType.UNANSWERABLE,
    FaultType.BODY_TOO_LARGE,
    FaultType.UNAUTHENTICATED,
    FaultType.FORBIDDEN,
)
"""What only whoever asks can mend."""


def ask(question: str, url: str, key_file: Path | None = None) -> int:
    """Ask a service and print steps, passages and answer as they come; returns the exit code.

    Raises:
        EnvironmentFault: nothing answers at this address.
        UserError: the service finds the question or the key invalid, or the key file cannot be read.
        PhaseFailed: the service answers with any other error.
    """
    console = Console(highlight=False)
    try:
        with Client(url, _key(key_file)) as client, StepsShown(console) as shown:
            for event in client.stream(question):
                _show(event, shown, console)
    except ServiceError as error:
        kind = UserError if error.type in _REFUSED else PhaseFailed
        raise kind(f"the service at {url} answers: {printable(str(error))}") from None
    return 0


def _show(event: Event, shown: StepsShown, console: Console) -> None:
    name, data = event
    if name == "answer":
        shown.end()
        console.print()
        console.print(verdict(data))
        console.print(figures(data))
    else:
        shown.see(name, data)


def _key(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--key-file {file} cannot be read: {error}") from None
