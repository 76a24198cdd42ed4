"""Headless Chromium, one per module, and a page per test that may talk to nobody but the service."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.service import Loop, serving

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium of the system; not for the whole session, since Playwright holds the thread's event loop meanwhile."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, Loop]]:
    """A service without keys."""
    with serving() as started:
        yield started


@pytest.fixture
def context(chromium: Any) -> Iterator[Any]:
    """A browser without a past; at its end it must have asked no other host, and no script may have failed."""
    context = chromium.new_context(viewport={"width": 1100, "height": 1000}, color_scheme="light", locale="en-GB")
    context.set_default_timeout(8000)
    hosts: set[str] = set()
    faults: list[str] = []
    context.on("request", lambda request: hosts.add(request.url.split("/")[2].split(":")[0]))
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("console", lambda message: faults.append(message.text) if _is_violation(message.text) else None)
    yield context
    context.close()
    assert hosts <= {"127.0.0.1"}, f"the page asked {hosts}"
    assert not faults


def _is_violation(text: str) -> bool:
    return "Content Security Policy" in text or "Trusted" in text


@pytest.fixture
def page(context: Any) -> Any:
    """A tab."""
    return context.new_page()
