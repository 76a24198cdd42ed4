"""Bytes on the wire that no HTTP client would send."""

import socket

import httpx

BOMBS = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 50_000 + b"\r\n",
    b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"\x00\x01\x02\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET http://evil.example.org/v1/models HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n",
)
"""Header bombs and broken requests."""


def exchange(url: str, sent: bytes, timeout: float = 5) -> bytes:
    """What comes back for bytes on the wire, until the other side closes."""
    address = httpx.URL(url)
    received = b""
    with socket.create_connection((address.host, address.port), timeout=timeout) as wire:
        try:
            wire.sendall(sent)
            while piece := wire.recv(65_536):
                received += piece
        except (ConnectionError, TimeoutError):
            pass
    return received
