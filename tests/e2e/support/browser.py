"""The distribution's Chromium, without a screen, and what it says of the pages it shows."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

expect.set_options(timeout=20_000)

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; the test is skipped where there is none."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed: as root, apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page of a browser of its own, and what was wrong with it."""

    def __init__(self, browser: Browser, url: str, **options: object) -> None:
        self.url = url.rstrip("/")
        self.wrong: list[str] = []
        """Errors on its console, exceptions, requests that failed, and requests to another origin."""
        self.context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        self.context.set_default_timeout(20_000)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda each: each.type in ("error", "warning") and self.wrong.append(each.text))
        self.page.on("pageerror", lambda each: self.wrong.append(str(each)))
        self.page.on("request", lambda each: self._ask(each.url))
        self.page.on("websocket", lambda each: self._ask(each.url))

    def _ask(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc:
            self.wrong.append(f"another origin: {url}")

    def open(self, path: str) -> Page:
        """Goes to a view."""
        self.page.goto(self.url + path)
        return self.page
