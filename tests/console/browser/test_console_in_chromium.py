"""A person uses the console: real broker, emulator, service and console, and a real Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from tests.console.browser.visit import Visit, visit
from tests.console.conftest import TOKEN, ConsoleUnderTest

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

EVIL = "<img src=x onerror=\"document.title='evil'\">"


async def _submit(console: ConsoleUnderTest, name: str, directives: str) -> None:
    stage = console.stage
    body = stage.analyze(name, stage.clip(), mode="stream", tenant="harbour")
    prompt = f"What happens? {EVIL} [[emulate: {directives}]]"
    await stage.request_producer.send(body | {"prompt": prompt}, key=name)


async def _sign_in(here: Visit) -> None:
    await here.page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    await here.page.get_by_label("Token").fill(TOKEN)
    await here.page.keyboard.press("Enter")
    await expect(here.page.get_by_role("button", name="Sign out")).to_be_visible()


async def test_a_request_is_seen_from_its_row_to_its_completion(browser: Browser, console: ConsoleUnderTest) -> None:
    name = console.stage.name("seen")
    async with visit(browser, console.url) as here:
        page = here.page
        await expect(page.locator("#link")).to_have_text("Live")
        await _submit(console, name, "interval_ms=50 fragments=60")
        await expect(page.get_by_role("link", name=name)).to_be_visible()

        await page.get_by_role("link", name=name).click()
        text = page.get_by_role("region", name="Generated text")
        await expect(text).not_to_be_empty()
        grown: list[int] = await page.evaluate(
            """() => new Promise((done) => {
                const lengths = new Set();
                const text = document.querySelector(".flow");
                const look = () => {
                    lengths.add(text.innerText.length);
                    if (lengths.size > 3) done([...lengths]); else requestAnimationFrame(look);
                };
                look();
            })"""
        )
        assert grown == sorted(grown)
        await expect(page.locator(".request-state")).to_have_text("Completed")
        done = await console.get(f"/api/jobs/{name}")
        shown = await text.evaluate("(node) => [...node.children].map((line) => line.textContent).join('\\n')")
        assert shown == done["text"]
        await expect(page.locator(".card-about")).to_contain_text(EVIL)
        assert await page.locator("main img").count() == 0
        await expect(page.get_by_role("img", name=re.compile("^Timeline"))).to_be_visible()
        await expect(page.locator(".progress-list")).to_contain_text("Stream began")

        await page.keyboard.press("Escape")
        await expect(page.locator("tr.chosen")).to_contain_text("Completed")
        await page.set_viewport_size({"width": 360, "height": 740})
        await expect(page.locator("tr.chosen")).to_be_visible()
        assert await here.overflow() <= 0


async def test_a_dead_letter_is_looked_at_and_sent_again(browser: Browser, console: ConsoleUnderTest) -> None:
    name = console.stage.name("bad")
    place = await console.stage.request_producer.send({"request_id": name, "prompt": EVIL}, key=name)
    async with visit(browser, console.url) as here:
        page = here.page
        await here.go("#/dead-letters")
        await here.rows().filter(has_text=name).first.click()
        await expect(page.locator(".notice-title")).to_contain_text("Open: invalid")
        await expect(page.locator("pre.bytes")).to_contain_text("<img src=x")
        await expect(page.locator("main")).to_contain_text(str(place[1]))
        await _sign_in(here)
        await page.get_by_role("button", name="Redrive").click()
        await page.get_by_role("dialog").get_by_role("button", name="Redrive").click()
        await expect(page.locator(".notice-title")).to_contain_text("Redriven")
        await page.get_by_role("link", name="← Dead letters").click()
        # As it was wrong, it comes back: another letter of the same request.
        again = here.rows().filter(has_text=name)
        await expect(again).to_have_count(1)
        await again.click()
        await page.get_by_role("button", name="Discard").click()
        await page.get_by_role("dialog").get_by_role("button", name="Discard").click()
        await expect(page.locator(".notice-title")).to_contain_text("Discarded")


async def test_a_request_is_canceled(browser: Browser, console: ConsoleUnderTest) -> None:
    name = console.stage.name("long")
    await _submit(console, name, "stall_after=3 stall_seconds=60")
    async with visit(browser, console.url) as here:
        page = here.page
        await page.get_by_role("link", name=name).click()
        await _sign_in(here)
        await page.get_by_role("button", name="Cancel request").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel request").click()
        await expect(page.locator(".request-state")).to_have_text("Canceled")
        await here.go("#/partitions")
        await expect(page.locator("main")).to_contain_text("2 of 2")
        await here.go("#/cost")
        await expect(page.locator("h1")).to_have_text("Cost")
