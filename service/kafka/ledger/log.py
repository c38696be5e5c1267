"""The ledger topic of a process: asks are appended, read back, and decided where all processes decide them alike."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import structlog

from service.clock import Clock
from service.domain.shares.quota import HOUR_WINDOW_MS, WINDOW_MS, Ask, GiveBack
from service.domain.shares.spending import Refused, Reservation
from service.kafka.ledger.book import LedgerBook
from service.kafka.ledger.records import (
    UnreadableLedgerRecord,
    ask_record,
    give_back_record,
    snapshot_record,
)
from service.kafka.ledger.running import RunningBook
from service.kafka.ledger.spending_records import SPENDING_KEY, SpendingBook, reserve_record, settle_record
from service.kafka.ledger_port import Grant, QuotaCategory
from service.kafka.ports import DeliveryFailed, InRecord, OutRecord, RecordPosition
from service.kafka.reading.topic_tail import Listener, Tail
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.futures import consume, fail
from service.kafka.writing.no_lease import NoLease
from service.kafka.writing.sender import IdempotentSender
from service.settings import Settings
from service.supervision import Supervisor
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

GOOD_SECONDS = 0.5
"""A grant not used within this time is dropped: used later, it might fall into another minute of the platform's."""
_LAGS = 16


class LedgerLog:
    """Implements `Ledger`. Made only where a quota or a limit of spending is set; `start` it once.

    It reads with `tail`, which others read as well: it follows partition 0 of the ledger topic, and is started by
    whoever has made it.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        supervisor: Supervisor,
        tail: Tail,
        limits: TopicLimits | None = None,
        window_ms: int = WINDOW_MS,
    ) -> None:
        self._quota = settings.quota
        self._topic = settings.topics.ledger
        self._clock = clock
        self._window_ms = window_ms
        self._sender = IdempotentSender(
            settings=settings,
            metrics=metrics,
            clock=clock,
            lease=NoLease(),  # an ask that nobody uses costs a part of the quota at most
            limits=limits,
            supervisor=supervisor,
            topics=[self._topic],
        )
        self.book = LedgerBook()
        """What the ledger says so far; read by others, folded here."""
        self.running = RunningBook(self._topic, self._sender.send)
        """Implements `RunningLedger`."""
        self._money = SpendingBook()
        self._reserved: dict[str, asyncio.Future[Refused | None]] = {}
        self._lags: deque[float] = deque(maxlen=_LAGS)
        self._asked: dict[str, asyncio.Future[Grant]] = {}
        self._caught_up = False
        self.on_given_back: Callable[[str, int], None] = lambda _category, _granted_ms: None
        self._tail = tail
        tail.listen(Listener(self._take, self._read, self._anew))

    def __repr__(self) -> str:
        return f"<LedgerLog {self.book!r}, {len(self._asked)} asked>"

    async def start(self) -> None:
        """Connect. Raises `ProducerFailed` within the call limit."""
        await self._sender.start()

    async def close(self) -> None:
        """Disconnect. Never raises."""
        await self._sender.close()

    def ask(self, category: QuotaCategory, count: int) -> asyncio.Future[Grant]:
        future: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        consume(future)
        per_window, per_day = self._quota.of(category)
        window_ms = HOUR_WINDOW_MS if category == "video_seconds" else self._window_ms
        ask = Ask(uuid4().hex, category, count, per_window, per_day, window_ms)
        self._asked[ask.id] = future
        self._sender.send(ask_record(self._topic, ask)).add_done_callback(partial(self._sent, ask.id))
        return future

    def give_back(self, category: QuotaCategory, granted_ms: int, count: int) -> None:
        self._sender.send(give_back_record(self._topic, GiveBack(category, granted_ms, count))).add_done_callback(_seen)

    def reserve(self, wanted: Reservation) -> asyncio.Future[Refused | None]:
        future: asyncio.Future[Refused | None] = asyncio.get_running_loop().create_future()
        consume(future)
        ask = uuid4().hex
        self._reserved[ask] = future
        self._sender.send(reserve_record(self._topic, ask, wanted)).add_done_callback(partial(self._sent, ask))
        return future

    def settle(self, reservation_id: str, amount: int) -> None:
        self._sender.send(self.settled(reservation_id, amount)).add_done_callback(_seen)

    def settled(self, reservation_id: str, amount: int) -> OutRecord:
        return settle_record(self._topic, reservation_id, amount)

    def spent_today(self) -> int:
        return self._money.spending.spent(int(self._clock.time() * 1000))

    def _sent(self, ask_id: str, sent: asyncio.Future[RecordPosition]) -> None:
        error = None if sent.cancelled() else sent.exception()
        if sent.cancelled() or error is not None:
            future = self._asked.pop(ask_id, None) or self._reserved.pop(ask_id, None)
            if future is not None:
                fail(future, DeliveryFailed("a record of the ledger was not delivered"))

    def _take(self, record: InRecord, _: float | None) -> None:
        if self.running.take(record):
            return
        if record.key == SPENDING_KEY:
            self._take_spending(record)
        elif not self._caught_up:
            self.book.keep(record)
        else:
            self._fold(record)

    def _read(self) -> None:
        if not self._caught_up and self._tail.ready.is_set():
            self._caught_up = True
            for record in self.book.kept():
                self._fold(record)

    def _fold(self, record: InRecord) -> None:
        folded = self.book.fold(record)
        if isinstance(folded, GiveBack):
            self.on_given_back(folded.category, folded.granted_ms)
        elif folded is not None and (future := self._asked.pop(folded[0], None)) is not None:
            if not future.done():
                opens_at = folded[1] / 1000 + self._ahead(record)
                future.set_result(Grant(opens_at, opens_at + GOOD_SECONDS, folded[1]))
            if self.book.snapshot_due(record.timestamp_ms):
                snapshot = snapshot_record(self._topic, self.book.account, self.book.next)
                self._sender.send(snapshot).add_done_callback(_seen)

    def _anew(self) -> None:
        """The topic was made anew: nothing was granted or spent, and what was asked is asked again."""
        log.warning(LogEvent.LEDGER_BEGINS_ANEW, topic=self._topic)
        self.book, self._money = LedgerBook(), SpendingBook()
        self.running.begin_anew()
        waiting: list[asyncio.Future[Any]] = [*self._asked.values(), *self._reserved.values()]
        for future in waiting:
            fail(future, DeliveryFailed("the ledger topic was made anew"))
        self._asked.clear()
        self._reserved.clear()

    def _take_spending(self, record: InRecord) -> None:
        try:
            decided = self._money.fold(record)
        except UnreadableLedgerRecord as error:
            log.error(LogEvent.LEDGER_RECORD_UNREADABLE, offset=record.offset, reason=str(error))
            return
        future = None if decided is None else self._reserved.pop(decided.ask, None)
        if decided is not None and future is not None and not future.done():
            future.set_result(decided.refused)

    def _ahead(self, record: InRecord) -> float:
        """How far our clock is ahead of the log's: as the fastest of our last asks tells, the others came late."""
        self._lags.append(self._clock.monotonic() - record.timestamp_ms / 1000)
        return min(self._lags)


def _seen(sent: asyncio.Future[RecordPosition]) -> None:
    """A snapshot that was not delivered is written by whoever asks next; what is not settled stays reserved."""
    if not sent.cancelled():
        sent.exception()
