"""The platform's client as the engine sees it, in memory: it works, unless a test has scripted the next calls."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Container, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.events import PlatformAnswer
from service.clock import Clock
from service.platform.batches.calls import BatchItem, MadeBatch
from service.platform.call import AnalysisCall
from service.platform.errors import (
    Category,
    NotAuthorized,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    Rejected,
    ServerFailed,
    StreamBroken,
)
from service.platform.marks import AssetMark
from service.platform.tasks import CancelOutcome
from service.platform.values import Analysis, Asset, StreamEnded, StreamEvent, StreamStarted, StreamText, Task, TaskPage

TEXTS = ("A car ", "turns ", "left.")


def platform_answer(status: int, code: str | None = None) -> PlatformAnswer:
    return PlatformAnswer(status=status, code=code, message=f"status {status}")


def server_failed() -> ServerFailed:
    """A failure that comes so late that the work may have been done."""
    return ServerFailed("the platform answered 504", answer=platform_answer(504))


def too_busy(seconds: float = 3) -> ServerFailed:
    return ServerFailed("the platform answered 503", answer=platform_answer(503), retry_after_seconds=seconds)


def rate_limited(seconds: float = 3) -> RateLimited:
    return RateLimited("slow down", retry_after_seconds=seconds, answer=platform_answer(429))


def rejected(status: int = 400, code: str | None = "parameter_invalid") -> Rejected:
    return Rejected(f"the platform answered {status}", answer=platform_answer(status, code))


def not_found() -> NotFound:
    return NotFound("the platform answered 404", answer=platform_answer(404, "resource_not_exist"))


def unknown() -> OutcomeUnknown:
    return OutcomeUnknown("the connection was cut")


def broken() -> StreamBroken:
    return StreamBroken(reason="cut", started=True)


def not_sent() -> NotSent:
    return NotSent("no connection")


def unauthorized() -> NotAuthorized:
    return NotAuthorized("the key is refused", answer=platform_answer(401))


@dataclass
class Held:
    """A call that is taken and then waits for `go`; then it fails with `error`, or its work is done."""

    error: Exception | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    left: bool = False
    """The caller gave up before `go`."""

    async def passed(self) -> None:
        self.reached.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.left = True
            raise
        if self.error is not None:
            raise self.error


@dataclass(frozen=True)
class After:
    """The work is done, and its answer is lost."""

    error: Exception


Behaviour = Held | After | Exception | None


@dataclass
class Seen:
    operation: str
    details: dict[str, Any]


class FakePlatform:
    """`script` says what becomes of the next calls of an operation; without a word they succeed."""

    def __init__(self, clock: Clock) -> None:
        self.unauthorized = False
        self.paused_seconds = 0.0
        self.calls: list[Seen] = []
        self.on_call: Callable[[Seen], None] = lambda seen: None
        self.assets: dict[str, Asset] = {}
        self.names: dict[str, str] = {}
        self.tasks: dict[str, Task] = {}
        self.batches = 0
        self.streams: deque[list[Any]] = deque()
        self.open_streams = 0
        self.finds_tasks = True
        """Whether tasks can be found; False is a list that lags behind."""
        self.lists_tasks = True
        """Whether the lists by status show anything."""
        self.new_asset_status = "ready"
        self.duration: float | None = 60.0
        self._clock = clock
        self._script: dict[str, deque[Behaviour]] = defaultdict(deque)
        self._always: dict[str, Callable[[], Exception]] = {}

    def script(self, operation: str, *behaviours: Behaviour) -> None:
        """What the next calls meet, in turn; None is success."""
        self._script[operation].extend(behaviours)

    def always(self, operation: str, error: Callable[[], Exception] | None) -> None:
        """What every call meets that is not scripted."""
        if error is None:
            self._always.pop(operation, None)
        else:
            self._always[operation] = error

    def hold(self, operation: str) -> Held:
        """The next call waits for the test."""
        held = Held()
        self.script(operation, held)
        return held

    def count(self, operation: str) -> int:
        return Counter(seen.operation for seen in self.calls)[operation]

    def paused(self, category: Category) -> float:
        return self.paused_seconds

    @asynccontextmanager
    async def _around(self, operation: str, **details: Any) -> AsyncIterator[None]:
        seen = Seen(operation, details)
        self.calls.append(seen)
        self.on_call(seen)
        script = self._script[operation]
        behaviour = script.popleft() if script else self._failure(operation)
        if isinstance(behaviour, Held):
            await behaviour.passed()
        elif isinstance(behaviour, Exception):
            raise behaviour
        yield
        if isinstance(behaviour, After):
            raise behaviour.error

    def _failure(self, operation: str) -> Exception | None:
        make = self._always.get(operation)
        return None if make is None else make()

    # Assets

    async def create_asset_from_url(self, url: str, *, filename: str, mark: AssetMark, request_id: str) -> Asset:
        async with self._around("create_asset", filename=filename, mark=mark):
            return self.add_asset(filename, status="processing", mark=mark)

    async def create_asset_direct(
        self,
        source: Any,
        *,
        filename: str,
        content_type: str,
        mark: AssetMark,
        request_id: str,
        on_progress: Callable[[int], None],
    ) -> Asset:
        async with self._around("create_asset", filename=filename, mark=mark):
            on_progress(source.size)
            return self.add_asset(filename, status="processing", mark=mark, size=source.size)

    def add_asset(
        self,
        filename: str,
        *,
        status: str | None = None,
        mark: AssetMark | None = None,
        size: int | None = None,
        proven: bool = True,
    ) -> Asset:
        """An asset of the account; `status` is what its creation answers."""
        asset_id = f"asset-{len(self.names) + 1}"  # of one that is deleted no other has the id
        asset = Asset(
            asset_id,
            self.new_asset_status,
            self.duration,
            size,
            created_at=self._clock.time(),
            mark=mark,
            proven=mark is not None and proven,
        )
        self.assets[asset_id] = asset
        self.names[asset_id] = filename
        return replace(asset, status=status or self.new_asset_status)

    async def get_asset(self, asset_id: str) -> Asset:
        async with self._around("get_asset", asset_id=asset_id):
            if asset_id not in self.assets:
                raise not_found()
            return self.assets[asset_id]

    async def find_assets(self, token: str, mark: AssetMark, *, created_after: float) -> list[Asset]:
        async with self._around("find_assets", token=token, mark=mark):
            return [
                asset
                for asset in self.assets.values()
                if token in self.names[asset.id]
                and asset.proven
                and asset.mark == mark
                and (asset.created_at or 0) >= created_after
            ]

    # Tasks

    async def create_task(self, call: AnalysisCall, *, custom_id: str, idempotency_key: str) -> Task:
        async with self._around("create_task", custom_id=custom_id, key=idempotency_key, call=call):
            task = Task(f"task-{len(self.tasks) + 1}", "queued", custom_id, created_at=self._clock.time())
            self.tasks[task.id] = task
        return task

    async def create_batch(self, items: Sequence[BatchItem], *, model_name: str, analysis_mode: str) -> MadeBatch:
        names = [item.custom_id for item in items]
        async with self._around("create_batch", names=names, model_name=model_name, mode=analysis_mode):
            self.batches += 1
            made = MadeBatch(f"batch-{self.batches}", {})
            tasks = {name: f"task-{len(self.tasks) + number}" for number, name in enumerate(names, 1)}
            for name, task_id in tasks.items():
                self.tasks[task_id] = Task(task_id, "queued", name, created_at=self._clock.time(), batch_id=made.id)
        return MadeBatch(made.id, tasks)

    def end_task(self, task_id: str, status: str = "ready", text: str = "All is quiet.") -> None:
        result = Analysis(text, "stop", "gen-1", 3) if status == "ready" else None
        self.tasks[task_id] = replace(self.tasks[task_id], status=status, result=result)

    async def get_task(self, task_id: str) -> Task:
        async with self._around("get_task", task_id=task_id):
            if task_id not in self.tasks:
                raise not_found()
            return self.tasks[task_id]

    async def list_tasks(self, status: str, number: int, wanted: Container[str]) -> TaskPage:
        async with self._around("list_tasks", status=status, page=number):
            rows = [task for task in reversed(self.tasks.values()) if task.status == status and self.lists_tasks]
            page = rows[(number - 1) * 50 : number * 50]
            return TaskPage([task for task in page if task.id in wanted], len(page), more=len(page) == 50)

    async def find_task(
        self, custom_id: str, *, asset_id: str | None, video_url: str | None, analysis_mode: str, created_after: float
    ) -> Task | None:
        async with self._around("find_task", custom_id=custom_id):
            found = [task for task in self.tasks.values() if task.custom_id == custom_id]
            return found[-1] if found and self.finds_tasks else None

    async def cancel_task(self, task_id: str) -> CancelOutcome:
        async with self._around("cancel_task", task_id=task_id):
            if task_id not in self.tasks:
                return "gone"
            if self.tasks[task_id].ended:
                return "already_ended"
            self.end_task(task_id, "canceled")
            return "canceled"

    # Analyses

    async def analyze(self, call: AnalysisCall) -> Analysis:
        async with self._around("analyze", call=call):
            return Analysis("".join(TEXTS), "stop", "gen-1", 3)

    @asynccontextmanager
    async def stream(self, call: AnalysisCall) -> AsyncIterator[AsyncIterator[list[StreamEvent]]]:
        pieces = self.streams.popleft() if self.streams else list(TEXTS)
        async with self._around("stream", call=call):
            self.open_streams += 1
            try:
                yield self._reads(pieces)
            finally:
                self.open_streams -= 1

    async def _reads(self, pieces: list[Any]) -> AsyncIterator[list[StreamEvent]]:
        yield [StreamStarted("gen-1")]
        for piece in pieces:
            if isinstance(piece, Held):
                await piece.passed()
            elif isinstance(piece, PlatformError):
                raise piece
            elif callable(piece):
                piece()
            else:
                yield [StreamText(piece)]
        yield [StreamEnded("stop", "gen-1", 3)]
