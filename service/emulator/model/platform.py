"""The state of an emulator; the routes only translate HTTP."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from service.clock import Clock, SystemClock
from service.emulator.analysis.analysis_request import AnalysisRequest
from service.emulator.analysis.media_rules import window_of
from service.emulator.faults.fault import Fault
from service.emulator.faults.fault_rules import FaultRules
from service.emulator.generation.cache import Generations
from service.emulator.generation.generation import SegmentationCutShort
from service.emulator.limits.rate_limits import RateLimits
from service.emulator.media.footage import Footage
from service.emulator.model.activity import Activity
from service.emulator.model.asset_book import AssetBook
from service.emulator.model.background import Background
from service.emulator.model.batches.book import BatchBook
from service.emulator.model.idempotency import IdempotencyKeys, Scope
from service.emulator.model.journal import Journal, state_unusable
from service.emulator.model.pictures import Pictures
from service.emulator.model.task_book import TaskBook
from service.emulator.model.uploads.book import UploadBook
from service.emulator.model.viewer import Viewer
from service.emulator.model.webhooks import WebhookAddress, Webhooks
from service.emulator.options import EmulatorOptions, Pace
from service.emulator.refusals import missing

_TEMPORARY = "reelwire-emulator-"


class Platform:
    """Everything behind the endpoints. `open` before use, `close` after."""

    def __init__(self, options: EmulatorOptions, clock: Clock | None = None) -> None:
        self.options = options
        self.clock = clock or SystemClock()
        self.pace: Pace = options.pace
        self.faults = FaultRules()
        self.keys = IdempotencyKeys(options.idempotency, options.idempotency_hours * 3600)
        self.limits = RateLimits(options.limits, options.limit_scope, options.limit_headers)
        state = options.state_dir
        self.journal = Journal(state / "journal.jsonl" if state is not None else None)
        self.activity = Activity(self.journal)
        self.viewer = Viewer(options, self.activity, self.journal)
        self.generations = Generations(options.seed)
        self._background = Background()
        self.assets = AssetBook(self.clock, self.viewer, self.journal, self.activity, self._background)
        self.uploads = UploadBook(self.clock, self.assets, self.journal)
        self.pictures = Pictures(self.assets, self.viewer, options.asset_wait)
        self.tasks = TaskBook(
            self.clock,
            self.assets,
            self.viewer,
            self.pictures,
            self.generations,
            self.journal,
            self._background,
            strict_assets=options.strict_assets,
        )
        self.batches = BatchBook(self.clock, self.assets, self.tasks, self.journal)
        self.webhooks = Webhooks(
            self.clock, self._background, options.webhook_retry_seconds, options.webhook_timeout_seconds
        )
        self._temporary: Path | None = None

    def open(self) -> None:
        """Make the directories. Raises `StateUnusable`."""
        state = self.options.state_dir
        try:
            self._open(state)
        except OSError as error:
            if state is None:
                raise
            raise state_unusable(state, error) from None
        if self.options.webhook_url is not None:
            self.add_webhook({"url": self.options.webhook_url, "secret": self.options.webhook_secret or ""})

    def _open(self, state: Path | None) -> None:
        blobs = state / "blobs" if state is not None else None
        if blobs is not None:
            blobs.mkdir(parents=True, exist_ok=True)
            for left in blobs.parent.glob(f"{_TEMPORARY}*"):  # by a run that was killed
                shutil.rmtree(left, ignore_errors=True)
        self._temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=state))
        self.viewer.open(self._temporary, blobs)
        parts = state / "uploads" if state is not None else self._temporary
        parts.mkdir(exist_ok=True)
        self.uploads.open(parts)

    async def close(self) -> None:
        """Stop what is under way; nothing is left on disk but the state directory's own."""
        await self._background.close()
        await self.webhooks.close()
        await self.viewer.close()
        self.journal.close()
        if self._temporary is not None:
            await asyncio.to_thread(shutil.rmtree, self._temporary, ignore_errors=True)

    def add_webhook(self, given: dict[str, Any]) -> WebhookAddress:
        """Register an address; raises `Refusal` or `ValueError`."""
        address = self.webhooks.register(given, self.tasks.all())
        self.webhooks.watch(self.tasks)
        return address

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.time()

    def stats(self) -> dict[str, Any]:
        """What was asked of the platform, and what came to its storage."""
        uploads = self.uploads
        return self.activity.as_json() | {"uploads": uploads.as_json(), "storage": dict(uploads.storage)}

    def spend(self, key: str, request: AnalysisRequest, pace: Pace, fault: Fault, footage: Footage) -> None:
        """Count an analysis for the limits of minutes and tokens."""
        if not self.limits.counts_costs or fault.limit == "off":
            return
        start, end = window_of(footage, request.start, request.end)
        try:
            tokens = self.generations.of(footage, request, pace, fault).output_tokens
        except SegmentationCutShort:
            tokens = 0
        self.limits.spend(key, self.now(), minutes=(end - start) / 60, tokens=tokens)

    def keep_key(self, scope: Scope, digest: str, answer: dict[str, Any]) -> None:
        """Remember the answer to a creation, also over a restart."""
        self.keys.keep(scope, answer)
        expires_at = self.now() + self.options.idempotency_hours * 3600
        self.journal.write("key", scope=scope, digest=digest, expires_at=expires_at, answer=answer)

    async def footage_of(self, request: AnalysisRequest, *, unknown_status: int) -> Footage:
        """The video of a request, or its images, looked at now if they were not before; raises `Refusal`."""
        pictures, source = await self.pictures.look(request, unknown_status=unknown_status), request.source
        if pictures is not None:
            return pictures
        if source is None:
            raise missing("video")
        if source.type == "asset_id":
            return await self.assets.ready_footage(
                source.value, unknown_status=unknown_status, wait_seconds=self.options.asset_wait
            )
        if source.type == "url":
            return await self.viewer.fetch(source.value)
        return await self.viewer.inspect(await self.viewer.decode(source.value))
