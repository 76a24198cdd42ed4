"""`steper ask`: one question to a running service, and its answer made readable."""

from typing import Any

import httpx
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from steper_ray.core.text import printable
from steper_ray.errors import EnvironmentFault, PhaseFailed, UserError

TIMEOUT_S = 600.0
"""The service's own deadline comes earlier."""
_CHARACTERS = 240
"""Most of a passage that is shown."""


def ask(question: str, url: str) -> int:
    """Ask a service and print answer, steps and passages; returns the exit code.

    Raises:
        EnvironmentFault: nothing answers at this address.
        UserError: the service finds the question invalid.
        PhaseFailed: the service answers with any other error.
    """
    Console(highlight=False).print(render(fetch(question, url)))
    return 0


def fetch(question: str, url: str) -> dict[str, Any]:
    """The JSON of an answer; raises as `ask`."""
    remedy = "Start it with `steper serve`, or name its address with --url"
    try:
        response = httpx.post(f"{url.rstrip('/')}/v1/answer", json={"question": question}, timeout=TIMEOUT_S)
        body = response.json()
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise EnvironmentFault(f"no service answers at {url}: {error}", remedy) from None
    except ValueError:
        raise EnvironmentFault(f"what answers at {url} is not this service (no JSON)", remedy) from None
    if response.status_code == httpx.codes.OK and isinstance(body, dict) and "steps" in body:
        return body
    message = _message(body) or f"unexpected content with status {response.status_code}"
    refused = response.status_code in (httpx.codes.UNPROCESSABLE_ENTITY, httpx.codes.REQUEST_ENTITY_TOO_LARGE)
    raise (UserError if refused else PhaseFailed)(f"the service at {url} answers: {message}")


def render(answer: dict[str, Any]) -> RenderableType:
    """An answer of `POST /v1/answer` for a terminal or a file."""
    steps = [_step(number, step) for number, step in enumerate(answer["steps"], start=1)]
    return Group(*steps, Text(), _verdict(answer), _figures(answer))


def _step(number: int, step: dict[str, Any]) -> RenderableType:
    # A forced answer retrieves nothing.
    heading = f"Step {number}" + (f" · {printable(step['query'])}" if step["query"] else " · forced answer")
    parts: list[RenderableType] = [Text(heading, style="bold")]
    for passage in step["passages"]:
        line = Text(f"[{passage['score']:.2f}] {printable(passage['title'])}: ", style="cyan")
        line.append(_cut(printable(passage["text"])), style="dim")
        parts.append(Padding(line, (0, 0, 0, 2)))
    parts.append(Padding(Text(f"→ {printable(step['rationale'])}"), (0, 0, 0, 2)))
    return Group(*parts)


def _verdict(answer: dict[str, Any]) -> Text:
    if answer["answer"]:
        return Text.assemble(("Answer: ", "bold"), (printable(answer["answer"]), "bold green"))
    return Text(f"No answer ({answer['stop']})", style="bold yellow")


def _figures(answer: dict[str, Any]) -> Text:
    usage, timings, count = answer["usage"], answer["timings"], len(answer["steps"])
    return Text(
        f"{answer['stop']} · {count} step{'s' * (count != 1)} · {timings['total_s']:.2f} s "
        f"(retrieval {timings['retrieval_s']:.2f}, writing {timings['writing_s']:.2f}) · "
        f"{usage['prompt_tokens']} prompt tokens, {usage['completion_tokens']} written",
        style="dim",
    )


def _message(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return printable(str(error.get("message", ""))) if isinstance(error, dict) else ""


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
