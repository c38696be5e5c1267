"""The example page for browsers of end users, from another origin than the console."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser, Route, expect

from tests.console.conftest import ORIGIN, STREAM_SECRET, ConsoleUnderTest

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

EXAMPLE = Path(__file__).parents[3] / "examples" / "browser"


def _signed(request_id: str) -> str:
    command = [sys.executable, str(EXAMPLE / "sign_token.py"), request_id]
    environment = {**os.environ, "REELWIRE_CONSOLE__STREAM_SECRET": STREAM_SECRET}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


async def _serve(route: Route) -> None:
    name = route.request.url.removeprefix(f"{ORIGIN}/")
    if name == "favicon.ico":
        await route.fulfill(status=204)
    else:
        await route.fulfill(path=EXAMPLE / (name or "index.html"))


async def test_the_example_shows_a_request_live_to_who_has_a_token(browser: Browser, console: ConsoleUnderTest) -> None:
    name = console.stage.name("watched")
    token = await asyncio.to_thread(_signed, name)
    body = console.stage.analyze(name, console.stage.clip(), mode="stream")
    prompt = "What happens? [[emulate: interval_ms=30 fragments=40]]"
    await console.stage.request_producer.send(body | {"prompt": prompt}, key=name)
    await console.until(f"/api/jobs/{name}", lambda job: job.get("id") == name)

    context = await browser.new_context()
    try:
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.route(f"{ORIGIN}/**", _serve)
        query = urlencode({"console": console.url, "request": name, "token": token})
        await page.goto(f"{ORIGIN}/#{query}")
        await expect(page.locator("#text")).to_have_text(re.compile("."), timeout=15_000)
        await expect(page.locator("#state")).to_have_text("completed", timeout=15_000)
        done = await console.get(f"/api/jobs/{name}")
        assert await page.locator("#text").text_content() == done["text"]
        assert complaints == []
    finally:
        await context.close()
