"""Deletes assets of ours that nobody needs.

The platform lists them, the domain decides. An asset goes only after its note was taken back (so that no request is
given it any more) and while this process holds the claim to its video (so that nobody looks for it on the platform
meanwhile), and only if no live job of any partition names it then. What can't be found out leaves all where they are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress

import structlog

from service.clock import Clock
from service.domain.housekeeping.verdict import HousekeepingPolicy, LastUse, StoredAsset, Verdict, verdict
from service.errors import RetryLater
from service.kafka.asset_port import AssetNames, AssetNote, AssetNotes, AssetsUnknown, UploadClaim
from service.kafka.ports import DeliveryFailed, LeaseLost, LiveSender, PayLease
from service.platform.client import PlatformClient
from service.platform.errors import PlatformError
from service.platform.values import Asset
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

SESSION_SECONDS = 25 * 3600.0
"""An upload session lasts a day at the platform."""
_TOGETHER = 50
_CLAIM_SECONDS = 5.0


class AssetSweep:
    """Looks every `assets.sweep_seconds`, in the one process that `chosen` says yes to."""

    def __init__(
        self,
        settings: Settings,
        platform: PlatformClient,
        notes: AssetNotes,
        names: AssetNames,
        sender: LiveSender,
        lease: PayLease,
        metrics: Metrics,
        clock: Clock,
        chosen: Callable[[], bool],
        *,
        settle_seconds: float | None = None,
    ) -> None:
        """`assets.delete_after_hours` must be set. `settle_seconds`: a request that was given an asset just before its
        note was taken back has said so by then; by default a third of a claim's time.
        """
        hours = settings.assets.delete_after_hours or float("inf")
        self._policy = HousekeepingPolicy(
            delete_after=hours * 3600,
            upload_time=2 * settings.platform.asset_timeout_seconds,
            session_time=SESSION_SECONDS,
        )
        self._owner = settings.kafka.group_id
        self._pause_seconds = settings.assets.sweep_seconds
        self._platform = platform
        self._notes = notes
        self._names = names
        self._sender = sender
        self._lease = lease
        self._metrics = metrics
        self._clock = clock
        self._chosen = chosen
        self._settle_seconds = settings.assets.claim_seconds / 3 if settle_seconds is None else settle_seconds

    async def run(self) -> None:
        """Sweep for ever. What can't be found out is tried again the next time."""
        while True:
            await asyncio.sleep(self._pause_seconds)
            if not self._chosen():
                continue
            try:
                counts = await self.once()
            except (PlatformError, RetryLater, LeaseLost) as error:
                log.warning(LogEvent.ASSET_SWEEP_FAILED, reason=str(error))
            else:
                log.info(LogEvent.ASSETS_SWEPT, **{str(name): count for name, count in counts.items()})

    async def once(self) -> Counter[Verdict]:
        """Look at every asset of ours once; how many of each verdict there are. Raises what can't be found out."""
        assets = await self._platform.owned_assets(self._owner)
        counts: Counter[Verdict] = Counter()
        going: list[Asset] = []
        for asset in assets:
            found = await self._judged(asset, named=False)
            if found.deletes:
                going.append(asset)
            else:
                counts[found] += 1
        for at in range(0, len(going), _TOGETHER):
            counts += await self._delete(going[at : at + _TOGETHER])
        return counts

    async def _judged(self, asset: Asset, *, named: bool) -> Verdict:
        stored = StoredAsset(
            asset.id,
            ours=asset.proven and asset.mark is not None and asset.mark.owner == self._owner,
            created_at=asset.created_at,
            unfinished=asset.method == "multipart" and asset.status == "processing",
        )
        now = self._clock.time()
        first = verdict(stored, None, named=named, now=now, policy=self._policy)
        if not first.deletes or asset.mark is None:
            return first  # its note would change nothing
        note = await self._notes.current(asset.mark.identity)
        last_use = None if note is None else LastUse(note.asset_id, note.used_at_ms / 1000)
        return verdict(stored, last_use, named=named, now=now, policy=self._policy)

    async def _delete(self, assets: Sequence[Asset]) -> Counter[Verdict]:
        """Delete those that still nobody needs once nobody can be given them any more."""
        counts: Counter[Verdict] = Counter()
        named = await self._names.named({asset.id for asset in assets})
        counts[Verdict.NAMED] += len(named)
        free = [asset for asset in assets if asset.id not in named]
        if not free:
            return counts
        async with AsyncExitStack() as claims:
            held: list[tuple[Asset, AssetNote | None, Callable[[], bool]]] = []
            taken: set[str] = set()
            for asset in free:
                identity = asset.mark.identity if asset.mark is not None else ""
                if identity in taken:
                    continue  # two assets of one video: the other one's turn is the next time
                note = await self._notes.current(identity)
                if note is not None and note.asset_id == asset.id:
                    await self._notes.invalidate(identity, asset.id)
                claim = await self._claimed(identity)
                if claim is None:
                    counts[Verdict.RECENT] += 1
                    continue
                taken.add(identity)
                held.append((asset, note, (await claims.enter_async_context(claim)).held))
            await asyncio.sleep(self._settle_seconds)
            named = await self._names.named({asset.id for asset, _, _ in held})
            for asset, note, still in held:
                found = await self._judged(asset, named=asset.id in named)
                if found.deletes and still() and self._lease.may_pay():
                    counts[await self._gone(asset, Verdict.ORPHANED if note is None else Verdict.UNUSED)] += 1
                else:
                    counts[found if not found.deletes else Verdict.RECENT] += 1
                    await self._given_back(asset, note)
        return counts

    async def _claimed(self, identity: str) -> UploadClaim | None:
        """The claim to a video; None when a request has it, or has noted an asset of it again."""
        with suppress(TimeoutError, AssetsUnknown):
            async with asyncio.timeout(_CLAIM_SECONDS):
                found = await self._notes.acquire(identity)
            return None if isinstance(found, AssetNote) else found
        return None

    async def _gone(self, asset: Asset, reason: Verdict) -> Verdict:
        if not await self._platform.delete_asset(asset.id):
            return Verdict.NAMED  # something at the platform needs it
        age = None if asset.created_at is None else round(self._clock.time() - asset.created_at)
        log.info(LogEvent.ASSET_DELETED, asset_id=asset.id, reason=str(reason), age_seconds=age)
        self._metrics.assets_deleted.labels(str(reason)).inc()
        return reason

    async def _given_back(self, asset: Asset, note: AssetNote | None) -> None:
        """Note the asset as before, unless somebody has noted one since. Not doing so would cost an upload at most."""
        if note is None or note.asset_id != asset.id:
            return
        with suppress(LeaseLost, DeliveryFailed, AssetsUnknown):
            if await self._notes.current(note.identity) is None:
                await self._sender.send(self._notes.record(note))
