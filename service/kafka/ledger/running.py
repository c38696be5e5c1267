"""What runs at once, in the ledger: one key for each analysis, so that compaction keeps the last record of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import uuid4

import orjson
import structlog

from service.domain.shares.running import Caps, Entry, Running
from service.kafka.ledger.records import PARTITION, UnreadableLedgerRecord
from service.kafka.ports import DeliveryFailed, InRecord, OutRecord, RecordPosition
from service.kafka.writing.futures import consume, fail
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_PREFIX: Final = b"running/"
_VERSION: Final = 1

Send = Callable[[OutRecord], "asyncio.Future[RecordPosition]"]


@dataclass(eq=False, slots=True)
class _Entering:
    """One of this process that does not run yet. `read_back`: its own record was read back."""

    caps: Caps
    nonce: str
    future: asyncio.Future[None]
    read_back: bool = False


class RunningBook:
    """Implements `RunningLedger` over what sends to the ledger topic; `take` is given each record that is read."""

    def __init__(self, topic: str, send: Send) -> None:
        self._topic = topic
        self._send = send
        self._entering: dict[str, _Entering] = {}
        self.running = Running()
        self.on_change: Callable[[str], None] = lambda _: None

    def __repr__(self) -> str:
        return f"<RunningBook {self.running!r}, {len(self._entering)} entering>"

    def has(self, name: str) -> bool:
        return self.running.has(name)

    def room(self, tenant: str | None, caps: Caps) -> bool:
        return self.running.room(tenant, caps)

    def count(self) -> int:
        return len(self.running)

    def enter(self, name: str, tenant: str | None, caps: Caps) -> asyncio.Future[None]:
        entering = _Entering(caps, uuid4().hex, asyncio.get_running_loop().create_future())
        consume(entering.future)
        self._entering[name] = entering
        entering.future.add_done_callback(lambda _: self._forget(name, entering))
        members = {"v": _VERSION, "tenant": tenant, "nonce": entering.nonce}
        record = OutRecord(self._topic, PARTITION, _PREFIX + name.encode(), orjson.dumps(members))
        self._send(record).add_done_callback(partial(_sent, entering.future))
        return entering.future

    def left(self, name: str) -> OutRecord:
        return OutRecord(self._topic, PARTITION, _PREFIX + name.encode(), None)

    def begin_anew(self) -> None:
        """The topic was made anew: nobody has entered."""
        self.running = Running()
        for one in list(self._entering.values()):
            fail(one.future, DeliveryFailed("the ledger topic was made anew"))
        self.on_change("")

    def take(self, record: InRecord) -> bool:
        """Fold the next record of the log. Whether it is about what runs."""
        if record.key is None or not record.key.startswith(_PREFIX):
            return False
        name = record.key.removeprefix(_PREFIX).decode("utf-8", "replace")
        try:
            self._fold(name, record)
        except UnreadableLedgerRecord as error:
            log.error(LogEvent.LEDGER_RECORD_UNREADABLE, offset=record.offset, reason=str(error))
        for other, one in list(self._entering.items()):
            if one.read_back and not one.future.done():
                self._decide(other, one)
        self.on_change(name)
        return True

    def _fold(self, name: str, record: InRecord) -> None:
        if record.value is None:
            self.running.leave(name)
            return
        entry = _read(name, record.value)
        self.running.enter(entry, record.timestamp_ms)
        entering = self._entering.get(name)
        if entering is not None and entering.nonce == entry.nonce:
            entering.read_back = True

    def _decide(self, name: str, one: _Entering) -> None:
        if not self.running.has(name):
            fail(one.future, DeliveryFailed("somebody else has said that it has left"))
        elif self.running.may_run(name, one.caps):
            one.future.set_result(None)

    def _forget(self, name: str, entering: _Entering) -> None:
        if self._entering.get(name) is entering:
            del self._entering[name]


def _read(name: str, value: bytes) -> Entry:
    try:
        members = orjson.loads(value)
        if members["v"] != _VERSION:
            raise UnreadableLedgerRecord("a record of what runs is of a version that this program does not know")
        tenant = members["tenant"]
        return Entry(name, None if tenant is None else str(tenant), str(members["nonce"]))
    except UnreadableLedgerRecord:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableLedgerRecord("a record of what runs has not the members that it should have") from error


def _sent(future: asyncio.Future[None], sent: asyncio.Future[RecordPosition]) -> None:
    if sent.cancelled() or sent.exception() is not None:
        fail(future, DeliveryFailed("an entry was not delivered"))
