"""A real browser, where there is one: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Milliseconds in which what is waited for must have come.
BOUND = 60_000


def missing() -> str:
    """What is not there; "": nothing."""
    if shutil.which("chromium") is None:
        return "no chromium: apt-get install chromium"
    return "" if find_spec("playwright") else "no playwright: pip install playwright"


class Browser:
    """Opens pages, and takes note of all that goes wrong in them."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium
        self._contexts: list[Any] = []
        #: What was said in consoles, refused by a policy, or thrown.
        self.wrong: list[str] = []
        #: All addresses that were asked for.
        self.asked: list[str] = []

    def open(self, address: str, width: int = 1200, scheme: str = "light") -> Any:
        """Open an address, and return the page when it shows something."""
        window = {"width": width, "height": 900}
        context = self._chromium.new_context(viewport=window, color_scheme=scheme)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(BOUND)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(address)
        return page

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(f"{message.type}: {message.text}")

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def browsers() -> Iterator[Browser]:
    """A browser, which is closed in the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        browser = Browser(chromium)
        try:
            yield browser
        finally:
            browser.close()
            chromium.close()
