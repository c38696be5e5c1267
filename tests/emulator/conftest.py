from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from multidict import CIMultiDictProxy

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions, Pace
from service.sandbox.footage import make_video

FAST = Pace(
    asset_ready_seconds=0.0,
    task_queued_seconds=0.0,
    task_pending_seconds=0.0,
    task_processing_seconds=0.0,
    first_fragment_ms=0.0,
    fragment_interval_ms=0.0,
    sync_seconds=0.0,
)


@dataclass
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def lines(self) -> list[Any]:
        return [orjson.loads(line) for line in self.raw.split(b"\n") if line]


class Client:
    """Plain HTTP, without an SDK's forgiveness."""

    def __init__(self, session: aiohttp.ClientSession, emulator: Emulator) -> None:
        self.session = session
        self.emulator = emulator

    async def call(self, method: str, path: str, **kwargs: Any) -> Answer:
        headers = {"x-api-key": "k"} | kwargs.pop("headers", {})
        root = self.emulator.root_url if path.startswith("/_") else self.emulator.base_url
        async with self.session.request(method, root + path, headers=headers, **kwargs) as response:
            return Answer(response.status, response.headers, await response.read())

    async def upload(self, video: Path, **fields: str) -> Answer:
        form = aiohttp.FormData()
        for name, value in ({"method": "direct"} | fields).items():
            form.add_field(name, value)
        form.add_field("file", video.read_bytes(), filename=video.name, content_type="video/mp4")
        return await self.call("POST", "/assets", data=form)

    async def settled(self, asset_id: str) -> Any:
        async def look() -> Any:
            shown = (await self.call("GET", f"/assets/{asset_id}")).json
            return shown if shown["status"] != "processing" else None

        return await until(look)

    async def ready_asset(self, video: Path) -> str:
        asset_id = str((await self.upload(video)).json["_id"])
        assert (await self.settled(asset_id))["status"] == "ready"
        return asset_id

    async def ended_task(self, task_id: str) -> Any:
        async def look() -> Any:
            shown = (await self.call("GET", f"/analyze/tasks/{task_id}")).json
            return shown if shown["status"] in {"ready", "failed", "canceled"} else None

        return await until(look)

    async def analyze(self, asset_id: str, prompt: str | None = "What happens?", **members: Any) -> Answer:
        body = {"video": {"type": "asset_id", "asset_id": asset_id}, "prompt": prompt} | members
        return await self.call("POST", "/analyze", json=body)

    async def create_task(self, asset_id: str, key: str | None = None, **members: Any) -> Answer:
        body = {"video": {"type": "asset_id", "asset_id": asset_id}, "prompt": "What happens?"} | members
        headers = {"Idempotency-Key": key} if key is not None else {}
        return await self.call("POST", "/analyze/tasks", json=body, headers=headers)

    async def add_fault(self, operation: str, **do: Any) -> None:
        """Add a fault for all later requests of an operation."""
        rule: dict[str, Any] = {"operation": operation, "do": do}
        assert (await self.call("POST", "/_emulator/faults", json=rule)).status == 201


async def until(look: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)
    return found


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", seed=1)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorOptions(pace=FAST)) as emulator:
        yield emulator


@pytest.fixture
async def client(session: aiohttp.ClientSession, emulator: Emulator) -> Client:
    return Client(session, emulator)


@pytest.fixture
async def asset(client: Client, clip: Path) -> str:
    return await client.ready_asset(clip)


@pytest.fixture
async def media(clip: Path) -> AsyncIterator[str]:
    """The url of a small file server with the clip in it."""
    app = web.Application()
    app.router.add_static("/", clip.parent)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()
