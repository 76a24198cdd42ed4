"""`steper ask`: what it prints, and what it says when something is wrong."""

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from steper_ray.errors import EnvironmentFault, PhaseFailed, SteperError, UserError
from steper_ray.serve.ask import ask
from steper_ray.serve.show import StepsShown

ANSWER: dict[str, Any] = {
    "id": "q1",
    "question": "Who?",
    "answer": "Hee Haw",
    "stop": "forced_answer",
    "partial": False,
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


def events_of(answer: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The stream of an answer; the first try of the first step is void."""
    events: list[tuple[str, dict[str, Any]]] = []
    for number, step in enumerate(answer["steps"], start=1):
        events.append(("step_started", {"id": "q1", "step": number, "query": step["query"]}))
        if step["passages"]:
            events.append(("passages", {"step": number, "passages": step["passages"]}))
        if number == 1:
            events.append(("rationale", {"step": 1, "text": "Void."}))
            events.append(("step_restarted", {"step": 1, "reason": "a replica died"}))
        events.append(("rationale", {"step": number, "text": step["rationale"][:5]}))
        events.append(("rationale", {"step": number, "text": step["rationale"][5:]}))
        told = {name: step[name] for name in ("query", "rationale", "usage")}
        events.append(("step_finished", {"step": number, **told}))
    return [*events, ("answer", answer)]


def framed(events: list[tuple[str, dict[str, Any]]]) -> bytes:
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events).encode()


@contextmanager
def service(status: int, body: bytes, type: str = "application/json") -> Iterator[str]:
    """Answers every POST on this machine with one content."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def asked(capsys: pytest.CaptureFixture[str], answer: dict[str, Any]) -> str:
    with service(200, framed(events_of(answer)), "text/event-stream") as url:
        assert ask("Who?", url + "/") == 0
    return capsys.readouterr().out


def test_an_answer_is_shown_step_by_step(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = [line.rstrip() for line in asked(capsys, ANSWER).splitlines()]
    assert lines[0] == "Step 1 · Who?"
    assert lines[1].startswith("  [2.50] Roy[31m Clark: He hosted")
    assert "  → Roy [bold]hosted[/bold]." in lines
    assert "Step 2 · forced answer" in lines
    assert "Answer: Hee Haw" in lines
    assert lines[-1].startswith("forced_answer · 2 steps · 1.25 s (retrieval 0.01, writing 1.00) · 22 prompt tokens")


def test_no_answer_and_half_an_answer_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No answer (step_limit)" in asked(capsys, {**ANSWER, "answer": "", "stop": "step_limit"})
    assert "No answer (deadline)" in asked(capsys, {**ANSWER, "answer": "", "stop": None, "partial": True})
    assert "Answer: Hee Haw (partial" in asked(capsys, {**ANSWER, "partial": True})


def test_nothing_a_passage_says_steers_the_terminal_and_each_step_is_printed_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = asked(capsys, ANSWER)
    assert "\x1b" not in printed
    assert printed.count("Step 1") == 1
    assert "Void" not in printed


def test_on_a_terminal_a_rationale_grows_and_void_text_vanishes() -> None:
    console = Console(force_terminal=True, width=100, record=True, file=io.StringIO())
    drawn = []
    with StepsShown(console) as shown:
        for name, data in events_of(ANSWER)[:5]:
            shown.see(name, data)
            assert shown._live is not None
            with console.capture() as capture:
                console.print(shown._live.renderable)
            drawn.append(capture.get())
    assert "Void.▏" in drawn[2]
    assert "Void" not in drawn[3]
    assert "Roy [▏" in drawn[4]


def test_a_key_is_read_from_its_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--key-file .*missing cannot be read"):
        ask("Who?", "http://127.0.0.1:9", tmp_path / "missing")


def test_a_stream_that_breaks_off_is_no_answer() -> None:
    body = framed(events_of(ANSWER)[:-1])
    with service(200, body, "text/event-stream") as url, pytest.raises(PhaseFailed, match="ended before its answer"):
        ask("Who?", url)


def test_an_error_in_mid_stream_is_told() -> None:
    body = framed([*events_of(ANSWER)[:3], ("error", {"error": {"type": "unavailable", "message": "no engine"}})])
    with service(200, body, "text/event-stream") as url, pytest.raises(PhaseFailed, match="no engine"):
        ask("Who?", url)


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
