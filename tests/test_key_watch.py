"""A platform key that is replaced on disk while we run, against a real HTTP server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from service import key_watch
from service.clock import SystemClock
from service.key_watch import KeyWatch
from service.platform.client import PlatformClient
from service.platform.errors import PlatformError
from service.settings import load_settings
from service.telemetry.metrics import Metrics
from service.telemetry.redaction import clean

pytestmark = pytest.mark.integration


async def test_a_refused_key_is_replaced_by_the_one_that_is_in_the_file_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_watch, "_EVERY_SECONDS", 0.01)
    monkeypatch.delenv("TWELVELABS_API_KEY", raising=False)
    asked: list[str] = []
    good = "old-key"

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers["x-api-key"])
        if asked[-1] != good:
            return web.json_response({"code": "api_key_invalid", "message": "no"}, status=401)
        return web.json_response({"data": [], "page_info": {}})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    file = tmp_path / "key"
    file.write_text("old-key\n")
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1.3"
    settings = load_settings(platform={"base_url": url, "api_key_file": str(file)})
    platform = PlatformClient(settings.platform, "old-key", Metrics(), SystemClock())
    watching = asyncio.create_task(KeyWatch(settings, platform, "old-key").run())
    try:
        await platform.check_key()
        good = "new-key"
        with pytest.raises(PlatformError):
            await platform.check_key()
        assert platform.unauthorized
        file.write_text("")  # half replaced
        file.write_text("new-key\n")
        await _accepted(platform)
        assert asked[-1] == "new-key"
        assert "new-key" not in clean("the platform said: new-key is unknown"), "it is kept out of logs like the first"
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        await platform.aclose()
        await runner.cleanup()


async def _accepted(platform: PlatformClient) -> None:
    async with asyncio.timeout(30):
        while platform.unauthorized:
            await asyncio.sleep(0.01)
