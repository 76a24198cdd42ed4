"""The page at `/` and the API's documentation at `/docs`: files of this folder, served as they are, all from memory."""

from importlib.resources import files

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PAGES = {"/": "index.html", "/docs": "docs.html"}
_FOLDER = files(__name__)
_PARTS = sorted(entry.name for entry in _FOLDER.iterdir() if entry.name.endswith((".css", ".js", ".svg")))
_FILES = {**_PAGES, **{f"/page/{name}": name for name in _PARTS}}

PATHS = tuple(_FILES)
"""Exact paths; nothing else of the disk can be asked for."""


def add_page(api: FastAPI) -> None:
    """Serve every file under its path."""
    for path, name in _FILES.items():
        api.router.routes.append(_route(path, name))


def _route(path: str, name: str) -> Route:
    content = _FOLDER.joinpath(name).read_bytes()
    kind = f"{_TYPES[name[name.rindex('.') :]]}; charset=utf-8"

    async def send(_: Request) -> Response:
        # Asked for again each time: a new version of the service comes with its own page.
        return Response(content, headers={"Content-Type": kind, "Cache-Control": "no-cache"})

    return Route(path, send, methods=["GET"], include_in_schema=False)
