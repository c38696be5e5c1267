"""Folds the records of the ledger in the order of the log. Pure: reading and writing are in `log.py`."""

from __future__ import annotations

import structlog

from service.domain.shares.quota import Account, Ask, GiveBack
from service.kafka.ledger.records import (
    ASK_KEY,
    GIVE_BACK_KEY,
    SNAPSHOT_KEY,
    UnreadableLedgerRecord,
    read_ask,
    read_give_back,
    read_snapshot,
)
from service.kafka.ports import InRecord
from service.telemetry.events import LogEvent

log = structlog.get_logger()

SNAPSHOT_EVERY = 100
"""Asks from one snapshot to the next, which whoever asked last writes. A minute after a snapshot, one ask is enough."""
SNAPSHOT_EVERY_MS = 60_000
_KEPT = 5_000


class LedgerBook:
    """What the ledger says so far. A process that begins later comes to the same by the last snapshot."""

    def __init__(self) -> None:
        self.account = Account()
        self.next = 0  # the offset behind the last record that is in the account
        self._unfounded: list[tuple[int, Ask | GiveBack, int]] | None = []
        """The records since the beginning, until the first snapshot: others before them may have been compacted."""
        self._since_snapshot = 0
        self._snapshot_ms = 0
        self._kept: list[InRecord] = []
        self._reduce_at = _KEPT

    def __repr__(self) -> str:
        return f"<LedgerBook to {self.next}>"

    def keep(self, record: InRecord) -> None:
        """Take the next record of those that were there at the start; `kept` when all have been read.

        To fold one costs time in proportion to the grants of a minute, and two days may hold a million of them. All in
        front of the last snapshot are in the snapshot.
        """
        self._kept.append(record)
        if len(self._kept) >= self._reduce_at:
            self._reduce()
            self._reduce_at = len(self._kept) + _KEPT

    def kept(self) -> list[InRecord]:
        """Begin with the last snapshot. What came after it is to be folded now, in this order."""
        self._reduce()
        kept, self._kept = self._kept, []
        return kept

    def _reduce(self) -> None:
        """Begin with the last snapshot that can be read, and keep what is not in it."""
        for index in range(len(self._kept) - 1, -1, -1):
            record = self._kept[index]
            if record.key != SNAPSHOT_KEY:
                continue
            try:
                self.account, self.next = read_snapshot(record.value)
            except UnreadableLedgerRecord as error:
                log.error(LogEvent.LEDGER_RECORD_UNREADABLE, offset=record.offset, reason=str(error))
                continue
            self._unfounded, self._since_snapshot, self._snapshot_ms = None, 0, record.timestamp_ms
            self._kept = [one for one in self._kept if one.offset >= self.next and one.key != SNAPSHOT_KEY]
            return

    def fold(self, record: InRecord) -> tuple[str, int] | GiveBack | None:
        """Take the next record. For an ask: its id, and from when on (milliseconds of the log) it is granted.

        For what was given back: that.
        """
        try:
            if record.key == SNAPSHOT_KEY:
                self._begin_with(*read_snapshot(record.value))
                self._since_snapshot, self._snapshot_ms = 0, record.timestamp_ms
            elif record.key == ASK_KEY and record.offset >= self.next:
                ask = read_ask(record.value)
                granted_ms = self.account.ask(ask, record.timestamp_ms)
                self._folded(record, ask)
                return ask.id, granted_ms
            elif record.key == GIVE_BACK_KEY and record.offset >= self.next:
                unused = read_give_back(record.value)
                self.account.give_back(unused)
                self._folded(record, unused)
                return unused
        except UnreadableLedgerRecord as error:
            log.error(LogEvent.LEDGER_RECORD_UNREADABLE, offset=record.offset, reason=str(error))
        return None

    def _folded(self, record: InRecord, what: Ask | GiveBack) -> None:
        self.next = record.offset + 1
        self._since_snapshot += 1
        if self._unfounded is not None:
            self._unfounded.append((record.offset, what, record.timestamp_ms))

    def _begin_with(self, account: Account, before: int) -> None:
        """The first snapshot is the truth, and what was asked since then is folded once more; all others we know."""
        if self._unfounded is None:
            return
        later = [(offset, what, at_ms) for offset, what, at_ms in self._unfounded if offset >= before]
        self._unfounded = None
        self.account, self.next = account, before
        for offset, what, at_ms in later:
            if isinstance(what, Ask):
                account.ask(what, at_ms)
            else:
                account.give_back(what)
            self.next = offset + 1

    def snapshot_due(self, now_ms: int) -> bool:
        """Whether the process whose ask was folded last is to write a snapshot; `now_ms` is the time of that ask."""
        return self._since_snapshot >= SNAPSHOT_EVERY or now_ms - self._snapshot_ms >= SNAPSHOT_EVERY_MS
