"""The pictures of docs/console.md, over the stand-in: `python -m tests.console.browser.pictures docs/pictures`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright, expect

from tests.console.browser.chromium import OPTIONS, chromium
from tests.console.browser.scene import Scene
from tests.console.browser.stand_in import served
from tests.console.browser.visit import visit

WIDE = {"width": 1280, "height": 800}
TALL = {"width": 1280, "height": 1000}
PHONE = {"width": 360, "height": 740}


async def _take(browser: Browser, url: str, where: Path, hash_: str, **options: Any) -> None:
    async with visit(browser, url, **options) as here:
        await here.go(hash_)
        await expect(here.page.locator(".rows, .card, .chart").first).to_be_visible()
        if await here.page.locator(".request-state .runs").count():
            await here.page.wait_for_function("() => document.querySelector('.flow').innerText.length > 700")
        if await (segment := here.page.locator(".segment").nth(2)).count():
            await segment.click()
        await here.page.screenshot(path=where)


async def main(folder: Path) -> None:
    """Write all of them."""
    scene = Scene(live=1_000, ended=500, busy=400)
    rows = list(scene.jobs.values())
    live = next(row["id"] for row in rows if row["phase"] == "streaming" and row["accepted_ms"] > scene.now - 30_000)
    done = next(row["id"] for row in reversed(rows) if row["phase"] == "completed")
    async with served(scene) as url, async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium(), args=OPTIONS)
        dark: dict[str, Any] = {"viewport": WIDE, "color_scheme": "dark"}
        light: dict[str, Any] = {"viewport": WIDE, "color_scheme": "light"}
        await _take(browser, url, folder / "console-requests.png", "#/requests", **light)
        await _take(browser, url, folder / "console-live.png", f"#/requests/{live}", **dark)
        await _take(browser, url, folder / "console-segments.png", f"#/requests/{done}", **light | {"viewport": TALL})
        await _take(browser, url, folder / "console-dead-letter.png", "#/dead-letters/2/102", **light)
        await _take(browser, url, folder / "console-cost.png", "#/cost", **dark)
        await _take(browser, url, folder / "console-phone.png", "#/requests", viewport=PHONE, color_scheme="dark")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
