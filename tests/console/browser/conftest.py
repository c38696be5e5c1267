"""One Chromium for the tests of a file, and pages that must say nothing wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.console.browser.chromium import OPTIONS, chromium


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium of this machine; the test is skipped where there is none."""
    path = chromium()
    if path is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH: the page was not tested in a browser")
    async with async_playwright() as driver:
        started = await driver.chromium.launch(executable_path=path, args=OPTIONS)
        yield started
        await started.close()
