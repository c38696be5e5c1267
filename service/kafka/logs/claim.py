"""A claim to an upload that this process has won, kept alive until it is released."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import uuid4

import structlog

from service.clock import Clock
from service.errors import PartitionError, RetryLater
from service.kafka.logs.claims import ClaimRecord, claim_key
from service.kafka.ports import DeliveryFailed, LeaseLost, LiveSender, OutRecord
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_RENEWALS = 3  # within the time a claim lasts


class ClaimFailed(RetryLater):
    """A claim could not be written, or was not seen in the log in time."""


class Claim:
    """The sole right to upload one video. Release it after the asset's note is durable, and on every other way out.

    An async context manager. Made by the asset log only.
    """

    def __init__(
        self,
        identity: str,
        topic: str,
        partition: int,
        *,
        ttl_seconds: float,
        sender: LiveSender,
        clock: Clock,
        on_release: Callable[[], None],
    ) -> None:
        self.identity = identity
        self.token = uuid4().hex
        self._topic = topic
        self._partition = partition
        self._ttl_seconds = ttl_seconds
        self._sender = sender
        self._now = clock.monotonic
        self._on_release = on_release
        self._offset: int | None = None
        self._over_at = float("-inf")
        self._renewing: asyncio.Task[None] | None = None
        self._released = False

    def __repr__(self) -> str:
        condition = "released" if self._released else "held" if self.held() else "over"
        return f"<Claim of {self.identity}, {condition}>"

    def held(self) -> bool:
        """Whether nobody else can have it. Ask before what costs: a process may have been frozen for long."""
        return not self._released and self._now() < self._over_at

    async def release(self) -> None:
        """Let others have it. Never raises: a claim that can't be given up runs out."""
        if self._released:
            return
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})
        self.withdraw()
        self._on_release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()

    async def write(self) -> None:
        """Write the claim, or renew it. Counted from before it is sent, so that we never think it lasts longer.

        Raises `ClaimFailed` or `LeaseLost`.
        """
        sent_at = self._now()
        record = ClaimRecord(self.identity, self.token, self._ttl_seconds, self._offset)
        try:
            place = await self._sender.send(record.record(self._topic, self._partition))
        except DeliveryFailed as error:
            raise ClaimFailed(f"a claim could not be written: {error}") from error
        if self._offset is None:
            self._offset = place.offset
        self._over_at = sent_at + self._ttl_seconds

    def keep(self) -> None:
        """Renew it from now on."""
        self._renewing = asyncio.create_task(self._renew(), name="claim")

    def withdraw(self) -> None:
        """Give it up without waiting for the delivery."""
        self._released = True
        with suppress(PartitionError):
            tombstone = OutRecord(self._topic, self._partition, claim_key(self.identity, self.token), None)
            self._sender.send(tombstone).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._ttl_seconds / _RENEWALS)
            if not self.held():
                log.warning(LogEvent.CLAIM_LOST, identity=self.identity)
                return
            with suppress(LeaseLost, ClaimFailed):  # there is time for another try
                await self.write()
