"""A running system with a producer of requests and an observer, for acceptance tests and crash tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from contracts.topics import Role
from service.sandbox.errors import ProgramError
from service.sandbox.footage import make_video
from service.sandbox.system import System
from tests.harness.invariants import check_invariants
from tests.harness.observer import Observer
from tests.harness.request_producer import RequestProducer

T = TypeVar("T")
_CHECK_SECONDS = 0.05

QUICK = {
    "REELWIRE_KAFKA__SESSION_TIMEOUT_MS": "2000",
    "REELWIRE_KAFKA__HEARTBEAT_INTERVAL_MS": "300",
    "REELWIRE_POLL__INITIAL_SECONDS": "0.2",
    "REELWIRE_POLL__MAX_SECONDS": "0.5",
    "REELWIRE_PLATFORM__ASSET_POLL_SECONDS": "0.1",
    "REELWIRE_JOBS__RETRY_INITIAL_SECONDS": "0.2",
    "REELWIRE_JOBS__RETRY_MAX_SECONDS": "1",
    "REELWIRE_ASSETS__CLAIM_SECONDS": "3",
}
BRISK = {
    "asset_ready_seconds": 0.1,
    "task_queued_seconds": 0.1,
    "task_pending_seconds": 0.1,
    "task_processing_seconds": 0.3,
    "first_fragment_ms": 10,
    "fragment_interval_ms": 5,
    "sync_seconds": 0.05,
}


class Stage:
    """A running system, a producer of requests, and observers. Not bound to an event loop."""

    def __init__(self, system: System, videos: Path) -> None:
        self.system = system
        self.videos = videos
        self.request_producer = RequestProducer(system.settings())
        self._numbers = itertools.count(1)
        self._seeds = itertools.count(1)

    def name(self, what: str = "job") -> str:
        """A request id that is used once only."""
        return f"{what}-{next(self._numbers)}"

    def clip(self) -> Path:
        """A short video that is used once only, below an allowed root."""
        seed = next(self._seeds)
        return make_video(self.videos / f"clip-{seed}.mp4", seed=seed, seconds=4, size=(360, 360), fps=4, sound=False)

    def analyze(self, request_id: str, path: Path | None = None, **members: Any) -> dict[str, Any]:
        """A request for a file. Its prompt begins with its id, so that `billable` finds its calls."""
        video = {"video": {"type": "file", "path": str(path)}} if path is not None else {}
        return {"request_id": request_id, "prompt": f"{request_id}: what happens?", **video, **members}

    async def limit(self, role: Role, size_bytes: int) -> None:
        """Set `max.message.bytes` of a topic. Called before a service starts, which then knows it."""
        settings = self.system.settings()
        entry = ConfigEntry("max.message.bytes", str(size_bytes), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource("topic", getattr(settings.topics, role), incremental_configs=[entry])
        admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
        (changed,) = admin.incremental_alter_configs([resource]).values()
        await asyncio.to_thread(changed.result)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Observer]:
        """An observer that reads every topic from its beginning."""
        async with Observer(self.system.settings()) as observer:
            yield observer

    async def ended(self, *request_ids: str, seconds: float = 30) -> Observer:
        """Wait for these requests' completions, and return what was seen till then."""
        async with self.watching() as observer:
            await observer.until_ended(request_ids, seconds=seconds)
        return observer

    async def answer(
        self, body: Mapping[str, Any], *, key: str | bytes | None = None, seconds: float = 30
    ) -> dict[str, Any]:
        """Send a request and wait for its completion."""
        await self.request_producer.send(body, key=key)
        observer = await self.ended(body["request_id"], seconds=seconds)
        return observer.completion(body["request_id"]) or {}

    async def billable(self, request_id: str) -> list[dict[str, Any]]:
        """Calls for analysis that the platform got for a request made by `analyze`, without replayed answers."""
        return [
            post
            for post in (await self.system.stats())["posts"]
            if post["operation"] in {"analyze_stream", "analyze_sync", "task_create"}
            and str(post.get("prompt", "")).startswith(f"{request_id}:")
            and not post.get("replayed")
        ]

    async def until_stats(self, reached: Callable[[dict[str, Any]], object], *, seconds: float = 20) -> dict[str, Any]:
        """Wait until the emulator's counts are as wanted."""
        return await _until(self.system.stats, reached, seconds)

    async def until_page(
        self, path: str, reached: Callable[[tuple[int, str]], object], name: str = "service", *, seconds: float = 60
    ) -> tuple[int, str]:
        """Wait until status and body of a service's page are as wanted."""
        return await _until(lambda: self.system.get(path, name), reached, seconds)

    async def until_said(self, event: str, times: int = 1, name: str = "service", *, seconds: float = 60) -> None:
        """Wait until a service has logged an event `times` times."""

        async def count() -> int:
            return len(self.system.service(name).said(event))

        await _until(count, lambda found: found >= times, seconds)

    async def broken_promises(self, **options: Any) -> list[str]:
        """Read all topics anew, and return every broken promise of the contract."""
        seen = await Observer.of_everything(self.system.settings())
        return check_invariants(seen, await self.system.stats(), **options)


async def _until(ask: Callable[[], Awaitable[T]], reached: Callable[[T], object], seconds: float) -> T:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not reached(answer := await ask()):
        if loop.time() > end:
            raise ProgramError(f"not within {seconds:g} s; the last answer was {str(answer)[:2000]}")
        await asyncio.sleep(_CHECK_SECONDS)
    return answer
