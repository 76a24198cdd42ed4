"""What every request passes on its way in and every response on its way out, in one place."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from steper_ray.sections.serve import ServeSection
from steper_ray.serve.bodies import BodyLimit
from steper_ray.serve.guard import Guard
from steper_ray.serve.headers import SecurityHeaders
from steper_ray.serve.log import RequestLog
from steper_ray.serve.meters import RequestMeters
from steper_ray.serve.page import PATHS
from steper_ray.telemetry.origin import Origin

FREE = ("/healthz", "/readyz", "/openapi.json", *PATHS)
"""Paths that need no key: probes, and what the page consists of; none of them shows or does anything of a user's."""
_METHODS = ("GET", "POST")
_ASKED = ("Authorization", "Content-Type", "X-Request-ID")
_SHOWN = ("Retry-After", "X-Request-ID")


def add_door(api: FastAPI, limits: ServeSection, *, echo: bool) -> None:
    """Add the middleware; a request meets it from the last line to the first. `echo` as in `RequestLog`."""
    api.add_middleware(BodyLimit, limit=limits.max_body_bytes, seconds=limits.body_timeout_s)
    api.add_middleware(Guard, limits=limits, free=FREE)
    if limits.cors_origins:
        # Outside of the guard: a browser's preflight carries no key. No cookies are used, so no credentials either.
        api.add_middleware(
            CORSMiddleware,
            allow_origins=limits.cors_origins,
            allow_methods=_METHODS,
            allow_headers=_ASKED,
            expose_headers=_SHOWN,
        )
    origin = Origin("serve", limits.model_name)
    api.add_middleware(RequestLog, origin=origin, meters=RequestMeters(origin), echo=echo)
    api.add_middleware(SecurityHeaders)
