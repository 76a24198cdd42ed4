"""A real HTTP service on localhost that answers what a test tells it and remembers what it was asked."""

import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Service:
    """`replies` are given in turn, the last one again and again; a status of 0 is never answered."""

    url: str = ""
    replies: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    ready: int = 200
    """Status of whatever is fetched."""
    arrived: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)
    clients: list[Any] = field(default_factory=list)
    """Closed after the test."""

    def reply(self, status: int, body: object = "", **headers: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.replies.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, text))

    def refuse(self, status: int, message: str, code: str | None = None) -> None:
        self.reply(status, {"error": {"message": message, "type": "invalid_request_error", "code": code}})

    def write(self, text: str | None, *, finish: str = "stop", api: str = "chat", usage: object = None) -> None:
        choice = {"message": {"role": "assistant", "content": text}} if api == "chat" else {"text": text}
        self.reply(200, {"choices": [{"index": 0, "finish_reason": finish, **choice}], "usage": usage})

    def next(self) -> tuple[int, dict[str, str], str]:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    told = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.send_response(told.ready)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told.asked.append(Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, headers, text = told.next()
            told.arrived.set()
            if status == 0:
                if self.connection.recv(1) == b"":
                    told.hung_up.set()
                return
            self.send_response(status)
            for name, value in (headers | {"content-length": str(len(text.encode()))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    for client in told.clients:
        await client.close()
    server.shutdown()
    server.server_close()
    thread.join()
