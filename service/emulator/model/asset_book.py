"""All assets of an emulator, and the background work that finds out what each of them holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict

from service.clock import Clock
from service.emulator.analysis.media_rules import refused_as_asset
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.faults.fault import Fault
from service.emulator.media.footage import Footage
from service.emulator.media.spool import Spooled
from service.emulator.model.activity import Activity
from service.emulator.model.assets import Asset
from service.emulator.model.background import Background
from service.emulator.model.journal import Journal
from service.emulator.model.viewer import Viewer
from service.emulator.refusals import Refusal, invalid, unknown

_LATE = "The video could not be processed."
_LOOK_SECONDS = 0.02


class AssetBook:
    """Assets by id, oldest first. Every change goes to the journal before it is answered."""

    def __init__(
        self, clock: Clock, viewer: Viewer, journal: Journal, activity: Activity, background: Background
    ) -> None:
        self._clock = clock
        self._viewer = viewer
        self._journal = journal
        self._activity = activity
        self._background = background
        self._assets: dict[str, Asset] = {}

    def __len__(self) -> int:
        return len(self._assets)

    def all(self) -> Sequence[Asset]:
        """Oldest first."""
        return list(self._assets.values())

    def get(self, asset_id: str, *, status: int = 404) -> Asset:
        """Look up an asset; raises `Refusal` with `status`."""
        found = self._assets.get(asset_id)
        if found is None:
            raise unknown("asset", asset_id, status)
        return found

    @behaves(
        "analysis.waits_for_asset",
        "An analysis of an asset that is processing waits for it, a task in the background; a switch makes it 400.",
        KnownFrom.INFERRED,
        test="http/test_waiting_assets.py::test_an_analysis_waits_for_its_asset",
        on=(
            "analyze_stream",
            "analyze_sync",
            "task_create",
        ),
    )
    async def ready_footage(self, asset_id: str, *, unknown_status: int, wait_seconds: float = 0.0) -> Footage:
        """What a ready asset holds; raises `Refusal` for any other.

        One that is processing is waited for, unless its bytes are still to come through an upload session.
        """
        asset = self.get(asset_id, status=unknown_status)
        until = self._clock.monotonic() + wait_seconds
        while asset.status(self._clock.time()) == "processing" and not asset.reserved:
            if self._clock.monotonic() >= until:
                break
            await asyncio.sleep(_LOOK_SECONDS)
            asset = self.get(asset_id, status=unknown_status)
        status = asset.status(self._clock.time())
        if status != "ready" or asset.footage is None:
            raise invalid(f"The asset {asset_id} is not ready: its status is {status}.")
        return asset.footage

    async def settled(self, asset_id: str) -> None:
        """Wait until an asset is no longer processing, or is deleted."""
        while (asset := self._assets.get(asset_id)) is not None and asset.status(self._clock.time()) == "processing":
            await asyncio.sleep(_LOOK_SECONDS)

    def add(self, asset: Asset, spooled: Spooled | None, fault: Fault) -> None:
        """Take on an asset; its content is looked at in the background. `spooled` belongs to the book from here on."""
        if fault.asset == "fail":
            asset.failure = fault.message or _LATE
        if spooled is not None:
            asset.sha256 = spooled.sha256
        self._assets[asset.id] = asset
        self.note(asset)
        self._settle_later(asset, spooled)

    def reserve(self, asset: Asset) -> None:
        """Take on an asset whose content is still to come, through an upload session."""
        asset.reserved = True
        self._assets[asset.id] = asset
        self.note(asset)

    def fill(self, asset_id: str, content: Callable[[], Awaitable[Spooled]]) -> None:
        """The content of a reserved asset has come; `content` makes a file of it. One that is deleted stays so."""
        asset = self._assets.get(asset_id)
        if asset is not None:
            self._background.spawn(self._fill(asset, content), lambda: self._fail(asset, _LATE))

    async def _fill(self, asset: Asset, content: Callable[[], Awaitable[Spooled]]) -> None:
        spooled = await content()
        asset.reserved, asset.sha256 = False, spooled.sha256
        self._note_if_kept(asset)
        await self._settle(asset, spooled)

    def note(self, asset: Asset) -> None:
        """Write the asset as it is now to the journal."""
        self._journal.write("asset", **(asdict(asset) | {"footage": None}))

    def remove(self, asset_id: str) -> None:
        """Forget an asset; raises `Refusal` for an unknown one."""
        self.get(asset_id)
        del self._assets[asset_id]
        self._journal.write("asset_deleted", id=asset_id)

    def restore(self, asset: Asset) -> None:
        """Take over an asset of an earlier run, as it was last noted."""
        self._assets[asset.id] = asset

    def restored_deletion(self, asset_id: str) -> None:
        """An asset of an earlier run was deleted later."""
        self._assets.pop(asset_id, None)

    def settle_restored(self) -> None:
        """After the whole journal was read: what was not settled is looked at again."""
        for asset in self.all():
            footage = self._viewer.seen.get(asset.sha256 or "")
            if asset.failure is None and footage is not None:
                asset.footage = footage
            elif asset.failure is None and not asset.reserved:
                self._settle_later(asset, None)

    def _settle_later(self, asset: Asset, spooled: Spooled | None) -> None:
        self._background.spawn(self._settle(asset, spooled), lambda: self._fail(asset, _LATE))

    @behaves(
        "assets.failed",
        "A file that is no video, or one the platform does not take, becomes `failed` with `error.message`; "
        "it is no 4xx.",
        KnownFrom.DOCUMENTED,
        test="http/test_asset_routes.py::test_a_file_that_is_no_video_becomes_a_failed_asset",
        on=("asset_create",),
        item=4,
    )
    async def _settle(self, asset: Asset, spooled: Spooled | None) -> None:
        """Find out what the asset holds, and whether the platform takes it."""
        try:
            footage = await self._footage(asset, spooled)
        except Refusal as refusal:
            self._fail(asset, f"{refusal.code}: {refusal.message}")
            return
        asset.sha256 = footage.sha256
        self._activity.identified(asset.id, footage.sha256)
        refused = refused_as_asset(footage)
        if refused is not None:
            self._fail(asset, f"{refused.code}: {refused.message}")
            return
        asset.footage = footage if asset.failure is None else None
        self._note_if_kept(asset)

    async def _footage(self, asset: Asset, spooled: Spooled | None) -> Footage:
        if spooled is not None:
            return await self._viewer.inspect(spooled)
        if asset.url is not None:
            return await self._viewer.fetch(asset.url)
        return await self._viewer.inspect_kept(asset.sha256 or "")

    def _fail(self, asset: Asset, reason: str) -> None:
        asset.failure = asset.failure or reason
        self._note_if_kept(asset)

    def _note_if_kept(self, asset: Asset) -> None:
        # It may have been deleted meanwhile; a fact after the deletion would bring it back in a restart.
        if asset.id in self._assets:
            self.note(asset)
