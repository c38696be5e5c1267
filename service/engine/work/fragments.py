"""The fragments of one attempt on their way to Kafka: numbered, cut to what fits, their deliveries checked."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from service.engine.records import well_formed
from service.failpoints import Point, failpoint
from service.kafka.ports import DeliveryFailed, LeaseLost, RecordPosition, RecordTooLarge

if TYPE_CHECKING:
    from contracts.fragments import FragmentEncoder
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

_SHARE = 4
"""A value below this share of the topic's limit fits with any key and headers that were accepted: not measured."""

_HOLD_STEP_BYTES = 16 * 1024


class TooMuchText(Exception):
    """The text of the stream fits no completion, or a piece of it no fragment: more of it is not paid for."""


class Undelivered(Exception):
    """Kafka did not take a fragment."""


class Fragments:
    """Made for one attempt, closed at its end. The texts sent, joined, are the text of the completion."""

    def __init__(self, live: LiveJob, context: Context) -> None:
        self.count = 0
        self.first_ms: int | None = None
        self._live = live
        self._job = live.job
        self._context = context
        self._sender = context.sender
        self._texts: list[str] = []
        self._text_bytes = 0
        self._held_bytes = 0
        self._records = context.records
        topics = context.settings.topics
        self._topic = topics.fragments
        self._most_text_bytes = context.limits.of(topics.completions)
        self._unmeasured_bytes = context.limits.of(topics.fragments) // _SHARE
        self._encoder: FragmentEncoder = context.records.fragments(live.job, None)
        self._under_way: deque[asyncio.Future[RecordPosition]] = deque()

    async def prove(self) -> None:
        """Wait, without a slot, until the topic takes a record, if that is in doubt. Called before the stream is paid.

        Then an empty fragment is the first of the attempt. Raises `Undelivered`, `LeaseLost` or `TooMuchText`.
        """
        if self._job.attempt == 1 and self._sender.takes(self._topic, self._job.partition):
            await self._live.without_slot(self._sender.ready())
            return
        value, headers = self._encoder.encode(0, "", self._context.clock.time())
        record = self._records.fragment(self._job, value, headers)
        self.count = 1
        try:
            await self._live.without_slot(self._sender.prove(record))
        except RecordTooLarge as error:
            raise TooMuchText(f"no fragment of this request fits its topic: {error}") from None
        except DeliveryFailed as error:
            raise Undelivered(f"it is not known whether the topic has taken a record: {error}") from None

    def begin(self, generation_id: str | None) -> None:
        """The stream has begun; later fragments carry its `generation_id`."""
        self._encoder = self._records.fragments(self._job, generation_id)

    async def send(self, text: str, seconds: float) -> None:
        """Send text that came at `seconds` since the epoch. Waits only while too much is under way to Kafka.

        Raises `Undelivered`, `LeaseLost` or `TooMuchText`.
        """
        if not text:
            return
        if self.first_ms is None:
            self.first_ms = int(seconds * 1000)
        try:
            self._send(text, seconds)
        except (UnicodeError, TypeError):  # half a character, which no record can hold
            self._send(well_formed(text), seconds)
        if self._text_bytes > self._most_text_bytes:
            raise TooMuchText("the text is larger than a record of the completions topic; the stream was left")
        self._check_deliveries()
        await self._sender.ready()

    async def delivered(self) -> None:
        """Wait until every fragment is in the topic. Raises `Undelivered`, `LeaseLost` or `TooMuchText`."""
        for future in self._under_way:
            if not future.done():
                await asyncio.wait((future,))
        self._check_deliveries()

    def text(self) -> str:
        """All texts, joined."""
        return "".join(self._texts)

    def close(self) -> None:
        """Free the memory that admission counts for the texts."""
        self._hold(0)

    def _send(self, text: str, seconds: float) -> None:
        """Send `text` as one fragment, or as several where one would be too large."""
        value, headers = self._encoder.encode(self.count, text, seconds)
        record = self._records.fragment(self._job, value, headers)
        if len(value) > self._unmeasured_bytes and not self._context.limits.fits(record):
            if len(text) == 1:
                raise TooMuchText("no fragment of this request fits its topic")
            half = len(text) // 2
            self._send(text[:half], seconds)
            self._send(text[half:], seconds)
            return
        self._under_way.append(self._sender.send(record))
        self._texts.append(text)
        self.count += 1
        self._text_bytes += len(text)
        if self._text_bytes - self._held_bytes >= _HOLD_STEP_BYTES:
            self._hold(self._text_bytes)

    def _hold(self, size_bytes: int) -> None:
        """Tell admission how much text is held: in steps, because this is the hottest path of the service."""
        self._live.hold(size_bytes - self._held_bytes)
        self._held_bytes = size_bytes

    def _check_deliveries(self) -> None:
        under_way = self._under_way
        while under_way and under_way[0].done():
            error = under_way.popleft().exception()
            if error is not None:
                for later in under_way:
                    later.add_done_callback(_consume)
                if isinstance(error, LeaseLost):
                    raise error
                if isinstance(error, RecordTooLarge):
                    raise TooMuchText(f"a fragment is too large: {error}")
                raise Undelivered(f"Kafka did not take a fragment: {error}")
            failpoint(Point.MID_STREAM)


def _consume(future: asyncio.Future[RecordPosition]) -> None:
    """Look at the error of a delivery that nobody awaits any more, or asyncio logs it."""
    if not future.cancelled():
        future.exception()
