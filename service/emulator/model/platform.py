"""The state of an emulator and what is done with it; the routes only translate HTTP."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from service.clock import Clock, SystemClock
from service.emulator.faults.fault import Fault
from service.emulator.faults.fault_rules import FaultRules
from service.emulator.model.activity import Activity
from service.emulator.model.analysis_request import AnalysisRequest, Source
from service.emulator.model.assets import Asset
from service.emulator.model.generation import Generation, SegmentationCutShort, generate
from service.emulator.model.idempotency import IdempotencyKeys
from service.emulator.model.inspection import Footage
from service.emulator.model.journal import Journal
from service.emulator.model.media_rules import refused_as_asset, refused_in_analysis, window_of
from service.emulator.model.quota import RequestQuota
from service.emulator.model.spool import Spooled
from service.emulator.model.tasks import Task, TaskError, TaskTimes, request_parameters
from service.emulator.model.viewer import Viewer
from service.emulator.options import EmulatorOptions, Pace
from service.emulator.refusals import Refusal, invalid, unknown
from service.telemetry.events import LogEvent

_CACHED_GENERATIONS = 256
_TEMPORARY = "reelwire-emulator-"
_LATE = "The video could not be processed."


class Platform:
    """Everything behind the endpoints. `open` before use, `close` after."""

    def __init__(self, options: EmulatorOptions, clock: Clock | None = None) -> None:
        self.options = options
        self.clock = clock or SystemClock()
        self.pace: Pace = options.pace
        self.faults = FaultRules()
        self.activity = Activity()
        self.keys = IdempotencyKeys(options.idempotency, options.idempotency_hours * 3600)
        self.quota = RequestQuota({"upload": options.upload_rpm, "analyze": options.analyze_rpm})
        self.assets: dict[str, Asset] = {}
        self.tasks: dict[str, Task] = {}
        self._generations: OrderedDict[str, Generation] = OrderedDict()
        self._work: set[asyncio.Task[None]] = set()
        self._temporary: Path
        self.viewer: Viewer
        state = options.state_dir
        self.journal = Journal(state / "journal.jsonl" if state is not None else None)

    def open(self) -> None:
        """Make the directories and what looks into videos. Called in the running event loop."""
        state = self.options.state_dir
        blobs = state / "blobs" if state is not None else None
        if blobs is not None:
            blobs.mkdir(parents=True, exist_ok=True)
            for left in blobs.parent.glob(f"{_TEMPORARY}*"):  # by a run that was killed
                shutil.rmtree(left, ignore_errors=True)
        self._temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=state))
        self.viewer = Viewer(self.options, self.activity, self._temporary, blobs)
        self.viewer.on_seen = lambda footage: self.journal.write("footage", **asdict(footage))
        self.activity.on_done = lambda entry: self.journal.write("post", entry=entry)

    def now(self) -> float:
        return self.clock.time()

    async def close(self) -> None:
        """Stop what is under way; nothing is left on disk but the state directory's own."""
        for work in list(self._work):
            work.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.viewer.close()
        self.journal.close()
        await asyncio.to_thread(shutil.rmtree, self._temporary, ignore_errors=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run in the background until `close`."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work_ended)

    def _work_ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error(LogEvent.EMULATOR_BROKEN, exc_info=error)

    def keep_key(self, scope: tuple[str, str, str], digest: str, answer: dict[str, Any]) -> None:
        """Remember the answer to a creation, also over a restart."""
        self.keys.keep(scope, answer)
        expires_at = self.now() + self.options.idempotency_hours * 3600
        self.journal.write("key", scope=scope, digest=digest, expires_at=expires_at, answer=answer)

    # Assets

    def asset(self, asset_id: str, *, status: int = 404) -> Asset:
        """Look up an asset; raises `Refusal` with `status`."""
        found = self.assets.get(asset_id)
        if found is None:
            raise unknown("asset", asset_id, status)
        return found

    def add_asset(self, asset: Asset, spooled: Spooled | None, fault: Fault) -> None:
        """Take on an asset; its content is looked at in the background."""
        if fault.asset == "fail":
            asset.failure = fault.message or _LATE
        if spooled is not None:
            asset.sha256 = spooled.sha256
        self.assets[asset.id] = asset
        self.note_asset(asset)
        self.spawn(self.settle_asset(asset, spooled))

    async def settle_asset(self, asset: Asset, spooled: Spooled | None) -> None:
        """Find out what the asset holds, and whether the platform takes it."""
        try:
            if spooled is not None:
                footage = await self.viewer.look(spooled)
            elif asset.url is not None:
                footage = await self.viewer.fetch(asset.url)
            else:
                footage = await self.viewer.look_again(asset.sha256 or "")
            asset.sha256 = footage.sha256
            refusal = refused_as_asset(footage)
        except Refusal as failure:
            refusal, footage = failure, None
        if refusal is not None and asset.failure is None:
            asset.failure = f"{refusal.code}: {refusal.message}"
        if asset.failure is None:
            asset.footage = footage
        self.note_asset(asset)
        for entry in self.activity.posts:
            if entry.get("asset_id") == asset.id:
                entry["sha256"] = asset.sha256

    def note_asset(self, asset: Asset) -> None:
        facts = asdict(asset) | {"footage": None}
        self.journal.write("asset", **facts)

    def remove_asset(self, asset_id: str) -> None:
        self.asset(asset_id)
        del self.assets[asset_id]
        self.journal.write("asset_deleted", id=asset_id)

    # Analyses

    async def footage_of(self, source: Source, *, unknown_status: int) -> Footage:
        """The video of a source, looked at now if it was not before; raises `Refusal`."""
        if source.type == "asset_id":
            return self.ready_footage(source.value, unknown_status=unknown_status)
        if source.type == "url":
            return await self.viewer.fetch(source.value)
        return await self.viewer.look(await self.viewer.decode(source.value))

    def ready_footage(self, asset_id: str, *, unknown_status: int) -> Footage:
        asset = self.asset(asset_id, status=unknown_status)
        status = asset.status(self.now())
        if status != "ready" or asset.footage is None:
            raise invalid(f"The asset {asset_id} is not ready: its status is {status}.")
        return asset.footage

    def generation(self, footage: Footage, request: AnalysisRequest, pace: Pace, fault: Fault) -> Generation:
        """The text, from a small cache if it was made before; raises `Refusal` and `SegmentationCutShort`."""
        schema = json.dumps(request.schema) if request.schema is not None else ""
        key = repr(
            (
                footage.sha256,
                (request.prompt, request.temperature, request.start, request.end, request.model_name),
                (request.max_tokens, schema, request.definitions, request.time_format),
                (request.min_segment, request.max_segment),
                (pace.fragments, pace.fragment_chars, pace.characters),
                (fault.fragments, fault.characters, fault.finish, fault.invalid_json, fault.raw_separators),
            )
        )
        known = self._generations.get(key)
        if known is not None:
            self._generations.move_to_end(key)
            return known
        made = generate(footage, request, pace, fault, self.options.seed)
        self._generations[key] = made
        if len(self._generations) > _CACHED_GENERATIONS:
            self._generations.popitem(last=False)
        return made

    # Tasks

    def task(self, task_id: str) -> Task:
        found = self.tasks.get(task_id)
        if found is None:
            raise unknown("task", task_id)
        return found

    async def create_task(self, request: AnalysisRequest, body: dict[str, Any], fault: Fault) -> Task:
        """Take on a task: at once for a ready asset, else its video is fetched in the background."""
        now = self.now()
        footage: Footage | None = None
        spooled: Spooled | None = None
        source = request.source
        if source.type == "asset_id":
            footage = self.ready_footage(source.value, unknown_status=400)
        elif source.type == "base64_string":
            spooled = await self.viewer.decode(source.value)
            request = replace(request, source=Source("base64_string", ""))
        times = TaskTimes.planned(now, self.pace, fault)
        task = Task(
            id=new_id(),
            request=request,
            parameters=request_parameters(body),
            created_at=now,
            queued_until=times.queued_until,
            pending_until=times.pending_until,
            done_at=times.done_at,
            pace=self.pace,
            fault=fault,
        )
        self.tasks[task.id] = task
        video = {"type": "base64_string", "base64_string": "-"} if spooled is not None else body["video"]
        self.journal.write(
            "task",
            id=task.id,
            body=body | {"video": video},
            created_at=now,
            times=asdict(times),
            pace=asdict(task.pace),
            fault={name: value for name, value in asdict(fault).items() if value is not None},
            sha256=footage.sha256 if footage is not None else spooled.sha256 if spooled is not None else None,
        )
        if footage is not None:
            self.give(task, footage)
        else:
            self.spawn(self.settle_task(task, spooled, None))
        return task

    async def settle_task(self, task: Task, spooled: Spooled | None, sha256: str | None) -> None:
        """Get the video of a task that came without a ready asset."""
        try:
            if spooled is not None:
                footage = await self.viewer.look(spooled)
            elif sha256 is not None:
                footage = await self.viewer.look_again(sha256)
            else:
                footage = await self.viewer.fetch(task.request.source.value)
        except Refusal as refusal:
            task.failure = TaskError(refusal.message, refusal.code)
            task.done_at = max(task.done_at, self.now())
        else:
            task.done_at = max(task.done_at, self.now())
            self.give(task, footage)

    def give(self, task: Task, footage: Footage) -> None:
        """Hand the video to its task, which finds out whether it will fail."""
        task.footage = footage
        if task.fault.task == "fail":
            task.failure = TaskError(task.fault.message or _LATE, task.fault.code)
            return
        try:
            start, end = window_of(footage, task.request.start, task.request.end)
            refusal = refused_in_analysis(footage, "task", end - start)
            if refusal is not None:
                raise refusal
            if task.request.definitions:
                self.generation(footage, task.request, task.pace, task.fault)
        except Refusal as refusal:
            task.failure = TaskError(refusal.message, refusal.code)
        except SegmentationCutShort:
            task.failure = TaskError("max_tokens is too small for the segments.", "token_limit_exceeded")

    def show_task(self, task: Task, *, listed: bool = False) -> dict[str, Any]:
        now = self.now()
        generation = None
        if task.status(now) == "ready" and task.footage is not None:
            generation = self.generation(task.footage, task.request, task.pace, task.fault)
        return task.as_json(now, generation, listed=listed)

    def cancel_task(self, task: Task) -> None:
        """Cancel, or raise `Refusal` when the task has ended otherwise."""
        status = task.status(self.now())
        if status == "ready":
            raise Refusal(409, "task_completed", "The task is already completed.")
        if status == "failed":
            raise Refusal(409, "task_failed", "The task has already failed.")
        if status != "canceled":
            task.canceled_at = self.now()
            self.journal.write("task_canceled", id=task.id, at=task.canceled_at)

    def remove_task(self, task: Task) -> None:
        if task.status(self.now()) == "processing":
            raise Refusal(409, "task_processing", "The task is being processed.")
        del self.tasks[task.id]
        self.journal.write("task_deleted", id=task.id)

    def finish_tasks(self, task_ids: list[str] | None) -> int:
        """End the waiting of these tasks, or of all; returns how many were still under way."""
        now = self.now()
        ended = 0
        for task in [self.task(task_id) for task_id in task_ids] if task_ids is not None else self.tasks.values():
            if task.status(now) in {"queued", "pending", "processing"}:
                task.finish(now)
                ended += 1
                self.journal.write("task_finished", id=task.id, at=now)
        return ended


def new_id() -> str:
    """24 hexadecimal digits, as the platform's ids are."""
    return secrets.token_hex(12)


PLATFORM: web.AppKey[Platform] = web.AppKey("platform", Platform)
