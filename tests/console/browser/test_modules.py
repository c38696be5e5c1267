"""Modules of the page that decide something, called by themselves in Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.console.browser.scene import Scene
from tests.console.browser.stand_in import served
from tests.console.browser.visit import Visit, visit

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(browser: Browser) -> AsyncIterator[Visit]:
    async with served(Scene(live=1, ended=1, busy=0)) as url, visit(browser, url) as opened:
        yield opened


async def test_a_text_is_put_together_whatever_comes_twice_late_or_anew(here: Visit) -> None:
    steps = [
        (["base", "one two", 1], "one two"),
        (["fragment", {"attempt": 1, "index": 3, "text": " three"}], "one two three"),
        (["fragment", {"attempt": 1, "index": 3, "text": " three"}], "one two three"),
        (["fragment", {"attempt": 1, "index": 7, "text": " to\nseven"}], "one two three to\nseven"),
        (["restart", 2], ""),
        (["fragment", {"attempt": 1, "index": 8, "text": " late"}], ""),
        (["fragment", {"attempt": 3, "index": 0, "text": "anew"}], "anew"),
        (["restart", 2], "anew"),
        (["whole", "anew and whole\n\n"], "anew and whole\n\n"),
    ]
    seen: list[str] = await here.page.evaluate(
        """async (steps) => {
            const { LiveText } = await import("/pages/parts/live_text.js");
            const { TextFlow } = await import("/pages/parts/text_flow.js");
            const flow = new TextFlow("a text");
            const live = new LiveText(flow);
            return steps.map(([name, ...given]) => { live[name](...given); flow.paint(); return flow.text(); });
        }""",
        [step for step, _ in steps],
    )

    assert seen == [text for _, text in steps]


async def test_bytes_are_shown_as_a_dump(here: Visit) -> None:
    dump: str = await here.page.evaluate(
        "async () => (await import('/pages/views/hex.js')).hexOf(btoa('0123456789abcdef\\x00\\xff<b>'))"
    )

    assert dump.splitlines() == [
        "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "00000010  00 ff 3c 62 3e                                    |..<b>|",
    ]


async def test_numbers_are_said_as_people_read_them(here: Visit) -> None:
    cases: list[tuple[str, list[Any], str]] = [
        ("length", [4_210], "4.2 s"),
        ("length", [59_999], "59 s"),
        ("length", [185_000], "3 min 05 s"),
        ("length", [7_800_000], "2 h 10 min"),
        ("length", [3 * 86_400_000], "3 d 0 h"),
        ("length", [None], "–"),
        ("position", [64.5], "1:04.5"),
        ("position", [3_727], "1:02:07"),
        ("ago", [1_000, 1_500], "now"),
        ("ago", [0, 7_200_000], "2 h ago"),
        ("size", [1_536], "1.5 KiB"),
        ("money", [0.0321, "USD"], "0.0321 USD"),
        ("money", [1_234.5, "EUR"], "1,234.50 EUR"),
        ("money", [None, "EUR"], "–"),
        ("several", [1, "request"], "1 request"),
        ("several", [1_200, "request"], "1,200 requests"),
        ("sentence", ["it was sent"], "It was sent."),
    ]
    said: list[str] = await here.page.evaluate(
        """async (cases) => {
            const words = await import("/pages/parts/words.js");
            return cases.map(([name, given]) => words[name](...given));
        }""",
        [[name, given] for name, given, _ in cases],
    )

    assert said == [expected for *_, expected in cases]


async def test_addresses_keep_ids_and_filters(here: Visit) -> None:
    read: dict[str, Any] = await here.page.evaluate(
        """async () => {
            const { link, read } = await import("/pages/parts/address.js");
            return read(link(["requests", "a/b:c?d#e%"], { tenant: "x&y=z ü", empty: "" }));
        }"""
    )

    assert read == {"parts": ["requests", "a/b:c?d#e%"], "members": {"tenant": "x&y=z ü"}}
