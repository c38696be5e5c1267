"""A claim to an upload that this process has won, renewed until it is released."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import uuid4

import structlog

from service.clock import Clock
from service.errors import PartitionError
from service.kafka.asset_port import AssetsUnknown
from service.kafka.logs.claims import ClaimRecord, claim_key
from service.kafka.ports import DeliveryFailed, LeaseLost, LiveSender, OutRecord
from service.supervision import Supervised, Supervisor
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_RENEWALS = 3  # within the time a claim lasts


class Claim:
    """`UploadClaim` over a record of the assets topic. Made by the asset log only."""

    def __init__(
        self,
        identity: str,
        topic: str,
        partition: int,
        *,
        ttl_seconds: float,
        sender: LiveSender,
        clock: Clock,
        supervisor: Supervisor,
        on_release: Callable[[], None],
    ) -> None:
        self.identity = identity
        self.token = uuid4().hex
        self._topic = topic
        self._partition = partition
        self._ttl_seconds = ttl_seconds
        self._sender = sender
        self._now = clock.monotonic
        self._supervisor = supervisor
        self._on_release = on_release
        self._offset: int | None = None
        self._over_at = float("-inf")
        self._renewing: Supervised | None = None
        self._released = False

    def __repr__(self) -> str:
        condition = "released" if self._released else "held" if self.held() else "over"
        return f"<Claim of {self.identity}, {condition}>"

    def held(self) -> bool:
        return not self._released and self._now() < self._over_at

    async def release(self) -> None:
        """Let others have it. Never raises: a claim that can't be given up ends after its time."""
        if self._released:
            return
        if self._renewing is not None:
            await self._renewing.stop()
        self.withdraw()
        self._on_release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()

    async def write(self) -> None:
        """Write the claim, or renew it. Its time counts from before it is sent, so we never think it lasts longer.

        Raises `AssetsUnknown` or `LeaseLost`.
        """
        sent_at = self._now()
        record = ClaimRecord(self.identity, self.token, self._ttl_seconds, self._offset)
        try:
            position = await self._sender.send(record.record(self._topic, self._partition))
        except DeliveryFailed as error:
            raise AssetsUnknown(f"a claim could not be written: {error}") from error
        if self._offset is None:
            self._offset = position.offset
        self._over_at = sent_at + self._ttl_seconds

    def keep(self) -> None:
        """Renew it from now on."""
        self._renewing = self._supervisor.once("upload claim", self._renew)

    def withdraw(self) -> None:
        """Give it up without waiting for the delivery. Never raises."""
        self._released = True
        with suppress(PartitionError):
            tombstone = OutRecord(self._topic, self._partition, claim_key(self.identity, self.token), None)
            self._sender.send(tombstone)  # its error is marked as seen by the sender

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._ttl_seconds / _RENEWALS)
            if not self.held():
                log.warning(LogEvent.CLAIM_LOST, identity=self.identity)
                return
            with suppress(LeaseLost, AssetsUnknown):  # there is time for another try
                await self.write()
