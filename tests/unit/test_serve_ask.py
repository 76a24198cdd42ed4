"""`steper ask`: what it prints, and what it says when something is wrong."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from rich.console import Console

from steper_ray.errors import EnvironmentFault, PhaseFailed, SteperError, UserError
from steper_ray.serve.ask import ask, render

ANSWER: dict[str, Any] = {
    "id": "q1",
    "question": "Who?",
    "answer": "Hee Haw",
    "stop": "forced_answer",
    "steps": [
        {
            "query": "Who?",
            "rationale": "Roy [bold]hosted[/bold].",
            "passages": [{"id": "p", "title": "Roy\x1b[31m Clark", "text": "He " + "hosted " * 100, "score": 2.5}],
            "usage": {"prompt_tokens": 10, "cached_tokens": 0, "completion_tokens": 3, "seconds": 0.5},
        },
        {
            "query": "",
            "rationale": "So the answer is: Hee Haw.",
            "passages": [],
            "usage": {"prompt_tokens": 12, "cached_tokens": 8, "completion_tokens": 4, "seconds": 0.5},
        },
    ],
    "usage": {"prompt_tokens": 22, "cached_tokens": 8, "completion_tokens": 7, "seconds": 1.0},
    "timings": {"retrieval_s": 0.01, "writing_s": 1.0, "total_s": 1.25},
}


@contextmanager
def service(status: int, body: bytes) -> Iterator[str]:
    """Answers every POST on this machine with one content."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def shown(answer: dict[str, Any]) -> str:
    console = Console(width=100, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(render(answer))
    return capture.get()


def test_an_answer_is_shown_step_by_step() -> None:
    lines = [line.rstrip() for line in shown(ANSWER).splitlines()]
    assert lines[0] == "Step 1 · Who?"
    assert lines[1].startswith("  [2.50] Roy[31m Clark: He hosted")
    assert "  → Roy [bold]hosted[/bold]." in lines
    assert "Step 2 · forced answer" in lines
    assert lines[-2] == "Answer: Hee Haw"
    assert lines[-1].startswith("forced_answer · 2 steps · 1.25 s (retrieval 0.01, writing 1.00) · 22 prompt tokens")


def test_no_answer_is_said() -> None:
    assert "No answer (step_limit)" in shown({**ANSWER, "answer": "", "stop": "step_limit"})


def test_nothing_a_passage_says_steers_the_terminal() -> None:
    assert "\x1b" not in shown(ANSWER)


def test_an_answer_is_printed_plainly_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with service(200, json.dumps(ANSWER).encode()) as url:
        assert ask("Who?", url + "/") == 0
    printed = capsys.readouterr().out
    assert "Answer: Hee Haw" in printed
    assert "\x1b" not in printed


def test_a_missing_service_is_named() -> None:
    with service(200, b"{}") as url:
        pass
    with pytest.raises(EnvironmentFault, match=r"no service answers at .*Start it with `steper serve`"):
        ask("Who?", url)


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "ftp://localhost/"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(EnvironmentFault, match="no service answers at"):
        ask("Who?", url)


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (422, b'{"error": {"type": "invalid_request", "message": "question: bad"}}', UserError, "question: bad"),
        (503, b'{"error": {"type": "overloaded", "message": "too many"}}', PhaseFailed, "too many"),
        (200, b'{"answer": 1}', PhaseFailed, "unexpected content with status 200"),
        (404, b"[]", PhaseFailed, "unexpected content with status 404"),
        (200, b"<html>", EnvironmentFault, "is not this service"),
    ],
)
def test_an_error_of_the_service_is_told(status: int, body: bytes, error: type[SteperError], message: str) -> None:
    with service(status, body) as url, pytest.raises(error, match=message):
        ask("Who?", url)


def test_asking_needs_neither_ray_nor_torch() -> None:
    code = (
        "import sys, steper_ray.serve.ask; print([m for m in ('ray', 'torch', 'fastapi', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
