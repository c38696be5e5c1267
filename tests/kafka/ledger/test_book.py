"""The records of the ledger in the order of the log: whoever begins later decides the same."""

from __future__ import annotations

import pytest

from service.domain.shares.quota import Ask, GiveBack
from service.kafka.ledger.book import SNAPSHOT_EVERY, SNAPSHOT_EVERY_MS, LedgerBook
from service.kafka.ledger.records import (
    ASK_KEY,
    PARTITION,
    SNAPSHOT_KEY,
    ask_record,
    give_back_record,
    snapshot_record,
)
from service.kafka.ports import InRecord, OutRecord

pytestmark = pytest.mark.unit

TOPIC = "ledger"


class Log:
    """A partition in memory whose records have the times that they are given."""

    def __init__(self) -> None:
        self.records: list[InRecord] = []

    def append(self, record: OutRecord, at_ms: int) -> InRecord:
        read = InRecord(TOPIC, PARTITION, len(self.records), at_ms, record.key, record.value, ())
        self.records.append(read)
        return read


def ask(number: int, count: int = 1) -> OutRecord:
    return ask_record(TOPIC, Ask(str(number), "analyze", count, 60, 10_000))


def catch_up(book: LedgerBook, records: list[InRecord]) -> None:
    """As a process does at its start: keep all, and fold what is behind the last snapshot."""
    for record in records:
        book.keep(record)
    for record in book.kept():
        book.fold(record)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("asked_meanwhile", [0, 1, 7])
def test_a_process_that_begins_later_decides_like_all_others(asked_meanwhile: int, *, kept: bool) -> None:
    log, first = Log(), LedgerBook()
    for number in range(50):
        first.fold(log.append(ask(number), number * 700))
    snapshot = snapshot_record(TOPIC, first.account, first.next)
    for number in range(50, 50 + asked_meanwhile):
        first.fold(log.append(ask(number), 35_000))
    first.fold(log.append(snapshot, 35_000))
    later, left = LedgerBook(), log.records[40:]  # the beginning was compacted away
    if kept:
        catch_up(later, left)
    else:
        for record in left:
            later.fold(record)
    for number in range(60, 160):
        record = log.append(ask(number), number * 700)
        assert first.fold(record) == later.fold(record)


def test_of_a_long_ledger_only_what_follows_the_last_readable_snapshot_is_folded() -> None:
    log, first = Log(), LedgerBook()
    for number in range(12_000):
        first.fold(log.append(ask(number), number))
        if number % 100 == 99:
            log.append(snapshot_record(TOPIC, first.account, first.next), number)
    log.append(OutRecord(TOPIC, PARTITION, SNAPSHOT_KEY, b"damaged"), 12_000)
    for number in range(12_000, 12_007):
        first.fold(log.append(ask(number), number))
    later = LedgerBook()
    for record in log.records:
        later.keep(record)
    left = later.kept()
    assert [one.key for one in left] == [ASK_KEY] * 7
    for record in left:
        later.fold(record)
    assert later.next == first.next
    assert later.account.snapshot() == first.account.snapshot()


def test_without_a_snapshot_all_that_was_kept_is_folded() -> None:
    log, first, later = Log(), LedgerBook(), LedgerBook()
    for number in range(30):
        first.fold(log.append(ask(number), number))
    catch_up(later, log.records)
    assert later.account.snapshot() == first.account.snapshot()


def test_a_snapshot_that_was_overtaken_changes_nothing() -> None:
    log, book, other = Log(), LedgerBook(), LedgerBook()
    for number in range(10):
        record = log.append(ask(number), 0)
        book.fold(record)
        other.fold(record)
    snapshot = snapshot_record(TOPIC, book.account, book.next)
    for number in range(10, 20):
        record = log.append(ask(number), 0)
        assert book.fold(record) == other.fold(record)
    book.fold(log.append(snapshot, 0))
    record = log.append(ask(20), 0)
    assert book.fold(record) == other.fold(record)


@pytest.mark.parametrize(
    "value", [None, b"", b"[]", b'{"v": 2}', b'{"v": 1}', b'{"v": 1, "before": 3, "account": []}', b"\xff"]
)
@pytest.mark.parametrize("key", [b"ask", b"snapshot", b"give-back"])
def test_a_damaged_record_counts_for_nothing(key: bytes, value: bytes | None) -> None:
    log, book = Log(), LedgerBook()
    book.fold(log.append(ask(0), 0))
    before = book.account.snapshot()
    assert book.fold(log.append(OutRecord(TOPIC, PARTITION, key, value), 0)) is None
    assert book.account.snapshot() == before


def test_a_snapshot_is_due_after_many_asks_or_a_minute() -> None:
    log, book = Log(), LedgerBook()
    book.fold(log.append(ask(0), SNAPSHOT_EVERY_MS))
    assert book.snapshot_due(SNAPSHOT_EVERY_MS)
    book.fold(log.append(snapshot_record(TOPIC, book.account, book.next), SNAPSHOT_EVERY_MS))
    assert not book.snapshot_due(SNAPSHOT_EVERY_MS + 1)
    assert book.snapshot_due(2 * SNAPSHOT_EVERY_MS)
    for number in range(SNAPSHOT_EVERY):
        book.fold(log.append(ask(number), SNAPSHOT_EVERY_MS + 1))
    assert book.snapshot_due(SNAPSHOT_EVERY_MS + 1)


@pytest.mark.parametrize("after_snapshot", [False, True])
def test_what_is_given_back_is_known_to_a_process_that_begins_later(after_snapshot: bool) -> None:
    log, first = Log(), LedgerBook()
    first.fold(log.append(ask(0, 40), 0))
    unused = give_back_record(TOPIC, GiveBack("analyze", 0, 30))
    if not after_snapshot:
        first.fold(log.append(unused, 5))
    snapshot = snapshot_record(TOPIC, first.account, first.next)
    if after_snapshot:
        first.fold(log.append(unused, 5))
    first.fold(log.append(snapshot, 6))
    later = LedgerBook()
    for record in log.records[1:]:  # the beginning was compacted away
        later.fold(record)
    assert later.account.used_today("analyze", 0) == first.account.used_today("analyze", 0) == 10
    for number in range(1, 20):
        record = log.append(ask(number, 20), 10 + number)
        assert first.fold(record) == later.fold(record)
