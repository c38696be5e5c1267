"""The example page for browsers of end users, from another origin than the console."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser, Page, Route, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as Address

from tests.console.browser.stand_in import event, listening
from tests.console.conftest import ORIGIN, STREAM_SECRET, ConsoleUnderTest

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

WAIT_MS = 15_000
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


@asynccontextmanager
async def _open(browser: Browser, url: str, request_id: str, token: str) -> AsyncIterator[tuple[Page, list[str]]]:
    """The example, and what the browser complains of."""
    context = await browser.new_context()
    try:
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.route(f"{ORIGIN}/**", _serve)
        await page.goto(f"{ORIGIN}/#{urlencode({'console': url, 'request': request_id, 'token': token})}")
        yield page, complaints
    finally:
        await context.close()


async def test_the_example_shows_a_request_live_to_who_has_a_token(browser: Browser, console: ConsoleUnderTest) -> None:
    name = console.stage.name("watched")
    token = await asyncio.to_thread(_signed, name)
    body = console.stage.analyze(name, console.stage.clip(), mode="stream")
    prompt = "What happens? [[emulate: interval_ms=30 fragments=40]]"
    await console.stage.request_producer.send(body | {"prompt": prompt}, key=name)
    await console.until(f"/api/jobs/{name}", lambda job: job.get("id") == name)

    async with _open(browser, console.url, name, token) as (page, complaints):
        await expect(page.locator("#text")).to_have_text(re.compile("."), timeout=WAIT_MS)
        await expect(page.locator("#state")).to_have_text("completed", timeout=WAIT_MS)
        done = await console.get(f"/api/jobs/{name}")
        assert await page.locator("#text").text_content() == done["text"]
        assert complaints == []


async def test_the_example_begins_again_after_a_refusal_and_after_a_gap(browser: Browser) -> None:
    asked: list[str | None] = []

    async def stream(request: Request) -> Response:
        asked.append(request.headers.get("last-event-id"))
        allowed = {"Access-Control-Allow-Origin": ORIGIN}
        if len(asked) == 1:
            return JSONResponse({"error": "the token has expired"}, 403, headers=allowed)
        events = [event("fragment", {"attempt": 1, "index": 0, "text": "from before"}, "1.1.1.0.0"), event("gap", {})]
        if len(asked) == 3:
            events = [
                event("fragment", {"attempt": 1, "index": 0, "text": "void"}, "1.1.1.0.0"),
                event("restart", {"attempt": 2}),
                event("fragment", {"attempt": 1, "index": 1, "text": "late"}),
                event("fragment", {"attempt": 2, "index": 0, "text": "the text"}, "1.2.1.0.0"),
                event("completion", {"type": "failed", "text": None, "error": {"code": "interrupted"}}),
            ]
        return StreamingResponse(iter(events), media_type="text/event-stream", headers=allowed)

    async with (
        listening(Starlette(routes=[Address("/stream/{id}", stream)])) as url,
        _open(browser, url, "cam7-1", "a-token") as (page, _),
    ):
        await expect(page.locator("#state")).to_have_text("interrupted", timeout=WAIT_MS)
        assert await page.locator("#text").text_content() == "the text"
        assert asked == [None, None, None]
