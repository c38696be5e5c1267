"""A visit to the console: a page in a window of its own, and every complaint of the browser about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, expect

WAIT_MS = 15_000
expect.set_options(timeout=WAIT_MS)
VIEWS = ("#/requests", "#/dead-letters", "#/cost", "#/partitions")


@dataclass
class Visit:
    """A page, and what the browser said about it: errors of scripts, of loading, and of the content policy."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def hear(self, said: ConsoleMessage) -> None:
        """The browser has written something to its console."""
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    async def go(self, hash_: str) -> None:
        """Show this view as if its address had been typed."""
        await self.page.goto(f"{self.url}/{hash_}")

    async def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        width: int = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return width

    def rows(self) -> Locator:
        """The rows of the list that are on the page."""
        return self.page.locator("table.rows tbody tr:not(.spacer)")


@asynccontextmanager
async def visit(browser: Browser, url: str, *, complains: bool = False, **options: Any) -> AsyncIterator[Visit]:
    """Open the console. `complains`: the browser may say something, such as that a server is away."""
    context = await browser.new_context(**({"viewport": {"width": 1360, "height": 860}} | options))
    context.set_default_timeout(WAIT_MS)
    page = await context.new_page()
    here = Visit(page, url)
    page.on("console", here.hear)
    page.on("pageerror", lambda error: here.complaints.append(str(error)))
    try:
        await here.go("")
        yield here
        if not complains:
            assert here.complaints == []
    finally:
        await context.close()
