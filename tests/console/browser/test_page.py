"""The console's page in a real Chromium, over a stand-in for its server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.console.browser.scene import Scene
from tests.console.browser.stand_in import TOKEN, served
from tests.console.browser.visit import VIEWS, visit
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}
EVIL = "<img src=x onerror=\"document.title='evil'\"><script>document.title='evil'</script>"


@pytest.fixture(scope="module")
def scene() -> Scene:
    scene = Scene(live=1_000, ended=500, busy=400)
    scene.left_out = 1_234
    return scene


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(scene: Scene) -> AsyncIterator[str]:
    async with served(scene) as address:
        yield address


async def test_a_thousand_rows_that_change_are_drawn_ten_times_a_second_at_most(browser: Browser, url: str) -> None:
    async with visit(browser, url) as here:
        await expect(here.rows().first).to_be_visible()
        seen: dict[str, Any] = await here.page.evaluate(
            """() => new Promise((done) => {
                let draws = 0;
                new MutationObserver(() => { draws += 1; }).observe(document.getElementById("main"),
                    {subtree: true, childList: true, characterData: true});
                setTimeout(() => done({draws, made: document.querySelectorAll("table.rows tr").length}), 2000);
            })"""
        )
        assert 4 <= seen["draws"] <= 22
        assert seen["made"] < 60
        await expect(here.page.locator("table.rows")).to_have_attribute("aria-rowcount", re.compile(r"^[2-9]\d\d$"))
        await expect(here.page.locator(".summary")).to_contain_text("1,000 live")
        await expect(here.page.locator(".summary")).to_contain_text("1,234 older ones are left out")


async def test_older_pages_are_read_when_the_end_is_near(browser: Browser, url: str) -> None:
    async with visit(browser, url) as here:
        await expect(here.rows().first).to_be_visible()
        await here.page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(here.page.locator("table.rows")).to_have_attribute("aria-rowcount", re.compile(r"^[4-9]\d\d$"))


async def test_filters_are_in_the_address_and_survive_a_reload(browser: Browser, url: str) -> None:
    async with visit(browser, url) as here:
        await here.page.get_by_label("Tenant").fill("harbour")
        await here.page.get_by_role("button", name=re.compile("^Streaming")).click()
        await here.page.get_by_role("radio", name="Live").check()
        await expect(here.page).to_have_url(re.compile(r"tenant=harbour"))
        await here.page.reload()
        await expect(here.page.get_by_label("Tenant")).to_have_value("harbour")
        await expect(here.page.get_by_role("button", name=re.compile("^Streaming"))).to_have_attribute(
            "aria-pressed", "true"
        )
        await expect(here.page.locator(".summary")).to_contain_text("match")
        for row in await here.rows().all():
            await expect(row).to_contain_text("harbour")
            await expect(row).to_contain_text("Streaming")
        await here.page.get_by_role("button", name="Clear").click()
        await expect(here.page).to_have_url(re.compile(r"#/requests$"))


async def test_the_keyboard_walks_through_the_lists(browser: Browser, url: str) -> None:
    async with visit(browser, url) as here:
        await expect(here.rows().first).to_be_visible()
        for key in ("j", "j", "ArrowDown", "k"):
            await here.page.keyboard.press(key)
        chosen = here.page.locator("tr.chosen a")
        await expect(chosen).to_be_focused()
        name = await chosen.inner_text()
        await here.page.keyboard.press("Enter")
        await expect(here.page.locator("h1")).to_have_text(name.split(" ")[0])
        await here.page.keyboard.press("Escape")
        await expect(here.page.locator("h1")).to_have_text("Requests")
        await expect(here.page.locator("tr.chosen")).to_contain_text(name)
        await here.page.keyboard.press("/")
        await expect(here.page.get_by_label("Request id")).to_be_focused()
        await here.page.keyboard.type("jk2")
        await expect(here.page.get_by_label("Request id")).to_have_value("jk2")
        await here.page.keyboard.press("Escape")
        await here.page.keyboard.press("?")
        await expect(here.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        await here.page.keyboard.press("Escape")
        await expect(here.page.get_by_role("dialog")).to_have_count(0)
        await here.page.keyboard.press("3")
        await expect(here.page.locator("h1")).to_have_text("Cost")


async def test_nothing_is_wider_than_a_phone(browser: Browser, url: str, scene: Scene) -> None:
    one = next(iter(scene.jobs))
    async with visit(browser, url, **PHONE) as here:
        for view in (*VIEWS, f"#/requests/{one}", "#/dead-letters/0/100"):
            await here.go(view)
            await expect(here.page.locator(".notice, .rows, .card").first).to_be_visible()
            assert await here.overflow() <= 0, view
            for word in ("Requests", "Dead letters", "Cost", "Partitions"):
                await expect(here.page.get_by_role("navigation").get_by_role("link", name=word)).to_be_in_viewport()


async def test_markup_in_what_strangers_sent_stays_text(browser: Browser, url: str, scene: Scene) -> None:
    row = scene.add(id="evil-1", tenant=EVIL, key=EVIL, phase="streaming")
    try:
        async with visit(browser, url) as here:
            await here.go("#/requests?text=evil-1")
            await expect(here.rows().first).to_contain_text("<img src=x onerror")
            await here.go("#/requests/evil-1")
            await expect(here.page.locator(".card-about")).to_contain_text("<img src=x onerror")
            assert await here.page.locator("main img, main script").count() == 0
            assert "evil-1" in await here.page.title()
    finally:
        del scene.jobs[row["id"]]


async def test_live_text_grows_and_the_picture_says_it_in_words(browser: Browser, url: str, scene: Scene) -> None:
    live = next(row["id"] for row in scene.jobs.values() if row["phase"] == "streaming")
    async with visit(browser, url, reduced_motion="reduce") as here:
        await here.go(f"#/requests/{live}")
        text = here.page.get_by_role("region", name="Generated text")
        await expect(text).to_contain_text("A forklift enters")
        before = len(await text.inner_text())
        await here.page.wait_for_function(
            "(before) => document.querySelector('.flow').innerText.length > before + 100", arg=before
        )
        await expect(here.page.get_by_role("img", name=re.compile("^Timeline. queued"))).to_be_visible()
        assert await here.page.evaluate("document.getAnimations().length") == 0


async def test_segments_lie_on_a_time_bar(browser: Browser, url: str, scene: Scene) -> None:
    done = next(row["id"] for row in scene.jobs.values() if row["phase"] == "completed")
    async with visit(browser, url) as here:
        await here.go(f"#/requests/{done}")
        await here.page.get_by_role("button", name=re.compile("^incident, 0:14 – 0:22")).click()
        await expect(here.page.locator(".segment-detail")).to_contain_text("the load tilts")


async def test_acting_needs_the_token_and_is_asked_about(browser: Browser, url: str, scene: Scene) -> None:
    async with visit(browser, url, complains=True) as here:  # a refused token is a 403, which Chromium reports
        page = here.page
        await here.go("#/dead-letters")
        await here.rows().nth(1).click()
        await expect(page.locator("pre.bytes")).to_contain_text("request_id")
        await page.get_by_role("radio", name="Hex").check()
        await expect(page.locator("pre.bytes")).to_contain_text("00000000  7b 22 72 65")
        await page.get_by_role("button", name="Redrive").click()
        await page.get_by_role("dialog").get_by_role("button", name="Redrive").click()
        await page.get_by_label("Token").fill("wrong")
        await page.get_by_role("button", name="Sign in").last.click()
        await expect(page.get_by_text("The token is wrong.")).to_be_visible()
        await page.get_by_label("Token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.locator(".toast")).to_contain_text("Done: redrive.")
        await expect(page.locator(".notice-title")).to_contain_text("Redriven")
        assert scene.done == ["/api/dead-letters/1/101/redrive"]
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()


async def test_every_field_and_landmark_has_a_name(browser: Browser, url: str) -> None:
    async with visit(browser, url) as here:
        for view in VIEWS:
            await here.go(view)
            await expect(here.page.locator(".notice, .rows, .card").first).to_be_visible()
            await expect(here.page.get_by_role("main")).to_have_count(1)
            await expect(here.page.get_by_role("navigation", name="Views")).to_have_count(1)
            await expect(here.page.locator("h1")).to_have_count(1)
            nameless = await here.page.evaluate(
                """() => [...document.querySelectorAll("input, select, button, a[href]")].filter((one) =>
                    !(one.labels?.length || one.ariaLabel || one.textContent.trim())).map((one) => one.outerHTML)"""
            )
            assert nameless == []


async def test_a_hidden_tab_lets_go_of_its_stream_and_reads_anew_when_it_is_seen(browser: Browser) -> None:
    own = Scene(live=20, ended=20)
    turn = """(look) => {
        Object.defineProperty(document, "hidden", { value: look === "away", configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    async with served(own) as address, visit(browser, address) as here:
        await here.page.clock.install()
        await here.page.reload()
        await expect(here.page.locator("#link")).to_have_text("Live")
        await expect(here.rows().first).to_be_visible()
        await here.page.evaluate(turn, "away")
        await here.page.clock.fast_forward(11_000)
        await until(lambda: own.viewers == 0, "the stream is let go of", 10)
        own.add(id="meanwhile")
        await here.page.evaluate(turn, "here")
        await expect(here.page.locator("#link")).to_have_text("Live")
        await expect(here.rows().first).to_contain_text("meanwhile")


async def test_what_the_server_can_not_see_is_said(browser: Browser, url: str, scene: Scene) -> None:
    scene.wrong["broker"] = "no Kafka broker answers at kafka:9092"
    async with visit(browser, url, complains=True) as here:
        try:
            await expect(here.page.get_by_role("alert")).to_contain_text("No Kafka broker answers at kafka:9092.")
        finally:
            scene.wrong.clear()
        await expect(here.page.locator("#banner")).to_be_hidden()


async def test_a_lost_connection_is_shown_and_comes_back(browser: Browser) -> None:
    own = Scene(live=20, ended=20)
    async with served(own) as address:
        port = int(address.rpartition(":")[2])
        context = visit(browser, address, complains=True)
        here = await context.__aenter__()
        await expect(here.page.locator("#link")).to_have_text("Live")
    try:
        await expect(here.page.locator("#link")).to_have_text("Connection lost")
        await expect(here.page.locator("#banner")).to_contain_text("What you see is from then")
        assert await here.rows().count() > 10
        async with served(own, port):
            own.add(id="after-it")
            await expect(here.page.locator("#link")).to_have_text("Live")
            await expect(here.page.locator("#banner")).to_be_hidden()
            await expect(here.rows().first).to_contain_text("after-it")
            await context.__aexit__(None, None, None)
    except BaseException:
        await context.__aexit__(None, None, None)
        raise
