"""The log and its writers in memory: for tests of what stands above them, and for the contract suites."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from service.kafka.ports import (
    DeliveryFailed,
    InRecord,
    Lease,
    LeaseLost,
    OutRecord,
    RecordLimits,
    RecordPosition,
    SendRight,
    WriterClosed,
    WriteUnit,
)
from service.kafka.reading.topic_tail import Listener
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.futures import consume, fail
from service.kafka.writing.group_commit import WriterDeath
from service.kafka.writing.too_large import too_large


@dataclass(slots=True)
class MemoryLog:
    """Topics, partitions and records with offsets, as a `read_committed` reader sees them."""

    records: dict[tuple[str, int], list[OutRecord]] = field(default_factory=lambda: defaultdict(list))
    input_offsets: dict[int, int] = field(default_factory=dict)
    """The group's next offset of each input partition."""

    followers: dict[str, Callable[[InRecord, float | None], None]] = field(default_factory=dict)
    """Who is told of each record of a topic, in a later turn of the event loop."""

    def append(self, record: OutRecord) -> RecordPosition:
        """Write one record, visible at once."""
        partition = self.records[record.topic, record.partition]
        partition.append(record)
        position = RecordPosition(record.topic, record.partition, len(partition) - 1)
        follower = self.followers.get(record.topic)
        if follower is not None:
            seen = InRecord(
                position.topic, position.partition, position.offset, 0, record.key, record.value, tuple(record.headers)
            )
            asyncio.get_running_loop().call_soon(follower, seen, None)
        return position

    def end(self, topic: str, partition: int) -> int:
        return len(self.records[topic, partition])

    def read(self, topic: str, partition: int) -> list[OutRecord]:
        """Every record of a partition in order."""
        return list(self.records[topic, partition])

    def at(self, position: RecordPosition) -> OutRecord:
        return self.records[position.topic, position.partition][position.offset]


class MemoryTail:
    """A `Tail` of the assets topic over a `MemoryLog` that is empty at the start."""

    def __init__(self, log: MemoryLog, topic: str, *, partitions: int) -> None:
        self.ready = asyncio.Event()
        self.partitions = partitions
        self.ready.set()
        self._log = log
        self._topic = topic

    def listen(self, listener: Listener) -> None:
        """One listener for each topic."""
        self._log.followers[self._topic] = listener.take

    def start(self) -> None:
        """It follows from the beginning."""

    async def close(self) -> None:
        """Nothing to stop."""


class MemoryWriter:
    """A `Writer` that commits what gathered within one turn of the event loop.

    `die_at(n)` makes the n-th commit from now fail; `fence()` is what a successor does.
    """

    def __init__(self, log: MemoryLog, partition: int, *, limits: RecordLimits | None = None) -> None:
        self.partition = partition
        self.dead: asyncio.Future[WriterDeath] = asyncio.get_running_loop().create_future()
        self.commits = 0
        self._log = log
        self._limits: RecordLimits = limits or TopicLimits()
        self._loop = asyncio.get_running_loop()
        self._pending: deque[tuple[WriteUnit, asyncio.Future[list[RecordPosition]]]] = deque()
        self._scheduled = False
        self._closing = False
        self._die_at: int | None = None

    def __repr__(self) -> str:
        condition = "dead" if self.dead.done() else "closed" if self._closing else "open"
        return f"<MemoryWriter of partition {self.partition}, {condition}, {len(self._pending)} waiting>"

    async def start(self) -> None:
        """Nothing to connect to."""

    def submit(self, unit: WriteUnit) -> asyncio.Future[list[RecordPosition]]:
        future: asyncio.Future[list[RecordPosition]] = self._loop.create_future()
        consume(future)
        if self._closing or self.dead.done():
            future.set_exception(WriterClosed())
        elif (refusal := too_large(unit.records, self._limits)) is not None:
            future.set_exception(refusal)
        else:
            self._pending.append((unit, future))
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._commit)
        return future

    async def close(self) -> None:
        self._closing = True
        self._commit()

    def die_at(self, nth: int = 1) -> None:
        """Fail the n-th commit from now, as a broken producer does: nothing of it is visible."""
        self._die_at = self.commits + nth

    def fence(self) -> None:
        """A successor has taken the partition over."""
        self._die(WriterDeath(fenced=True, reason="fenced by a newer producer"))

    def _commit(self) -> None:
        self._scheduled = False
        if not self._pending or self.dead.done():
            return
        if self._die_at is not None and self.commits + 1 >= self._die_at:
            self._die(WriterDeath(fenced=False, reason="the commit failed"))
            return
        self.commits += 1
        group = list(self._pending)
        self._pending.clear()
        written = [[self._log.append(record) for record in unit.records] for unit, _ in group]
        for (unit, future), positions in zip(group, written, strict=True):
            if unit.then is not None:
                positions.extend([self._log.append(record) for record in unit.then(tuple(positions))])
            if unit.input_offset is not None:
                before = self._log.input_offsets.get(self.partition, 0)
                self._log.input_offsets[self.partition] = max(before, unit.input_offset)
            if not future.done():
                future.set_result(positions)

    def _die(self, death: WriterDeath) -> None:
        if self.dead.done():
            return
        self.dead.set_result(death)
        while self._pending:
            _, future = self._pending.popleft()
            if not future.done():
                future.set_exception(WriterClosed(death.reason))


class MemorySender:
    """A `LiveSender` that delivers at the next turn of the event loop; `fail_next` loses deliveries.

    Without a `right` it sends while the lease lasts.
    """

    def __init__(self, log: MemoryLog, lease: Lease, *, limits: RecordLimits | None = None) -> None:
        self._limits: RecordLimits = limits or TopicLimits()
        self._log = log
        self._lease = lease
        self._loop = asyncio.get_running_loop()
        self._failing: Callable[[], BaseException] | None = None
        self._under_way: deque[tuple[asyncio.Future[RecordPosition], RecordPosition]] = deque()
        self._closed = False
        self._held: list[tuple[OutRecord, asyncio.Future[RecordPosition]]] = []
        self.right: SendRight | None = None
        """Asked instead of the lease; what may not be sent is then held back until `go`."""
        self._healed = asyncio.Event()

    async def start(self) -> None:
        """Nothing to connect to."""

    def send(self, record: OutRecord) -> asyncio.Future[RecordPosition]:
        if self.right is None and not self._lease.alive():
            raise LeaseLost
        future: asyncio.Future[RecordPosition] = self._loop.create_future()
        consume(future)
        if self._closed:
            future.set_exception(DeliveryFailed("the sender was closed"))
        elif self._held or not (self.right is None or self.right.may_send(record.partition)):
            self._held.append((record, future))
        elif (refusal := too_large((record,), self._limits)) is not None:
            future.set_exception(refusal)
        elif self._failing is not None:
            self._loop.call_soon(fail, future, self._failing())
        else:
            position = self._log.append(record)
            self._under_way.append((future, position))
            self._loop.call_soon(self._deliver)
        return future

    def go(self) -> None:
        """Send what was held back and may be sent now."""
        held, self._held = self._held, []
        for record, future in held:
            self.send(record).add_done_callback(partial(_pass_on, future))

    def drop_held(self, partition: int) -> None:
        for record, future in self._held:
            if record.partition == partition:
                fail(future, LeaseLost())
        self._held = [one for one in self._held if one[0].partition != partition]

    async def ready(self) -> None:
        """Always."""

    def takes(self, topic: str, partition: int) -> bool:
        return self._failing is None

    async def prove(self, record: OutRecord) -> RecordPosition:
        while True:
            try:
                return await self.send(record)
            except DeliveryFailed:
                self._healed.clear()
                if self._failing is not None:
                    await self._healed.wait()

    async def close(self) -> None:
        self._closed = True
        self._deliver()

    def _deliver(self) -> None:
        while self._under_way:
            future, position = self._under_way.popleft()
            if not future.done():
                future.set_result(position)

    def fail_next(self, error: Callable[[], BaseException] | None) -> None:
        """Fail deliveries with what `error` makes, until called with None."""
        self._failing = error
        if error is None:
            self._healed.set()


def _pass_on(to: asyncio.Future[RecordPosition], done: asyncio.Future[RecordPosition]) -> None:
    error = done.exception()
    if error is not None:
        fail(to, error)
    elif not to.done():
        to.set_result(done.result())
