"""The system's Chromium, without a window: opens a page, and notes what one that is quiet, offline
and whole would never do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = f"no browser: none of {', '.join(NAMES)} (Debian: apt-get install chromium)"
# The page is a file: whatever else it asks for must not even be looked up.
FLAGS = ["--host-resolver-rules=MAP * ~NOTFOUND"]


class NoBrowser(Exception):
    """There is none on this machine. The message says which one to install."""


@dataclass
class Visit:
    """A page that is open. `noticed` is empty for one that loads nothing else, raises nothing,
    says nothing on the console and asks nothing."""

    page: Page
    noticed: list[str] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self.page.on("request", self._request)
        self.page.on("websocket", self._request)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._note("raises", str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("popup", lambda found: self._note("opens", found.url))

    def open(self, path: Path) -> None:
        self.url = path.resolve().as_uri()
        self.page.goto(self.url)

    def _note(self, what: str, said: str) -> None:
        self.noticed.append(f"{what} {said[:200]}")

    def _request(self, found: Any) -> None:
        if found.url != self.url and not found.url.startswith("data:"):
            self._note("asks for", found.url)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._note(f"console {message.type}:", message.text)

    def _dialog(self, found: Any) -> None:
        self._note(f"{found.type}:", found.message)
        found.dismiss()


def executable() -> str:
    """The path of the first of NAMES. Raises NoBrowser."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise NoBrowser(NO_BROWSER)
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """Takes a second or two; a visit in it a tenth. Raises NoBrowser."""
    path = executable()
    with sync_playwright() as playwright:
        # Without its sandbox, which root, and a container, may not use: it opens our own files.
        browser = playwright.chromium.launch(
            executable_path=path, args=FLAGS, chromium_sandbox=False
        )
        try:
            yield browser
        finally:
            browser.close()


def browser_or_skip() -> Iterator[Browser]:
    """What a fixture yields, of a module: while one is open, no other event loop can run."""
    try:
        with launched() as browser:
            yield browser
    except NoBrowser as reason:
        pytest.skip(str(reason))


@contextmanager
def visit(
    browser: Browser,
    path: Path,
    *,
    width: int = 1440,
    height: int = 900,
    dark: bool = False,
    scripts: bool = True,
    before: str = "",
) -> Iterator[Visit]:
    """The page, loaded, in a context of its own. `before`: a script that runs ahead of the page's.
    Widths are in CSS pixels."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    context.set_default_timeout(10_000)
    try:
        if before:
            context.add_init_script(before)
        found = Visit(context.new_page())
        found.open(path)
        yield found
    finally:
        context.close()
