"""What the Kafka side offers to the engine and asks of it: small frozen values and protocols.

The engine sees no consumer or producer: it has a `Writer` and a `FinishedLog` per partition, and one `LiveSender`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from service.errors import PartitionError, RetryLater

if TYPE_CHECKING:
    from contracts.requests import ParsedRequest
    from service.domain.handover import Note

Headers = tuple[tuple[str, bytes | None], ...]  # a value may be null


@dataclass(frozen=True, slots=True)
class InRecord:
    """A record that was read. `timestamp_ms` is Kafka's own."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class OutRecord:
    """A record to write. `value` None is a tombstone."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class RecordPosition:
    """Where a record was written."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class WriteUnit:
    """Records that become visible together or not at all.

    `then` builds further records of the same transaction from the positions of `records` (same order); `input_offset`
    is the next offset of the input partition to read, committed with them.
    `touches`: topics in which only the end of the transaction is marked, unseen; the next one waits for these marks.
    """

    records: Sequence[OutRecord]
    then: Callable[[Sequence[RecordPosition]], Sequence[OutRecord]] | None = None
    input_offset: int | None = None
    touches: Sequence[str] = ()


class WriterClosed(PartitionError):
    """The writer of this partition is dead or closed: what was submitted may or may not be durable."""


class Writer(Protocol):
    """Writes units of one partition, in the order of `submit`."""

    def submit(self, unit: WriteUnit) -> asyncio.Future[list[RecordPosition]]:
        """Queue `unit`; returns at once.

        The future resolves when the unit is durable, with the positions of `records` followed by those of the
        records of `then`; it fails with `WriterClosed` when the writer died first. Cancelling it changes nothing.
        A unit that can never be sent (a record above its topic's limit) fails alone with `RecordTooLarge`: nothing
        of it is written, and the writer goes on. `RecordLimits.fits` tells before.
        """
        ...

    async def close(self) -> None:
        """Write what was submitted, then stop. Never raises; bounded in time."""
        ...


class RecordTooLarge(PartitionError):
    """A record is larger than its topic takes.

    `index` counts the records of its unit from 0; it is 0 for a record that was sent alone.
    """

    def __init__(self, topic: str, size_bytes: int, limit_bytes: int, *, index: int = 0) -> None:
        super().__init__(f"a record of {size_bytes} bytes is too large for {topic}, which takes {limit_bytes}")
        self.topic = topic
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        self.index = index


class RecordLimits(Protocol):
    """How large a record of each topic may be. One object per process; limits may change while it runs."""

    def of(self, topic: str) -> int:
        """The most bytes that a record of `topic` may have, as `size` counts them."""
        ...

    def size(self, record: OutRecord) -> int:
        """Bytes of `record` with its key, headers and batch overhead, uncompressed.

        Raises `ValueError` for a record without key and value.
        """
        ...

    def fits(self, record: OutRecord) -> bool:
        """Whether its topic takes `record`. Asked by whoever makes a record, before it is submitted or sent."""
        ...


UNIT_BYTES = 16 * 1024 * 1024
"""Whoever gathers records into a unit ends it before it is larger, unless one record alone is."""


class DeliveryFailed(RetryLater):
    """A live record was not delivered: its attempt is over, since what follows would leave a gap."""


class LeaseLost(PartitionError):
    """No successful heartbeat within the session timeout: nothing may be sent or paid for."""


class LiveSender(Protocol):
    """Sends live records outside any transaction: one idempotent producer per process."""

    def send(self, record: OutRecord) -> asyncio.Future[RecordPosition]:
        """Send at once, in order per partition; the future resolves when every replica in sync has it.

        Raises or fails with `LeaseLost` when this process may have been taken for dead. Fails with `DeliveryFailed`,
        in bounded time, when the broker can't be reached; every later record under way then fails too, so an
        attempt that stops at its first failure leaves no gap. A record above its topic's limit fails alone with
        `RecordTooLarge`, and nothing of it is sent.
        """
        ...

    async def ready(self) -> None:
        """Return when there is a producer and not too much under way.

        Awaited between two reads of a stream: it is the back-pressure. It does not say that a topic takes records.
        """
        ...

    def takes(self, topic: str, partition: int) -> bool:
        """False from a failed delivery to a partition until that partition has taken a record again. Cheap."""
        ...

    def drop_held(self, partition: int) -> None:
        """Another process has the partition: what is held back for it fails with `LeaseLost` and is never sent."""
        ...

    async def prove(self, record: OutRecord) -> RecordPosition:
        """Write `record` and return when its topic has taken it, however long that lasts. It is written once.

        Awaited before an attempt is paid for when the topic may refuse what follows: always before a repeated
        attempt, and before a first one while `takes` is False. The record is the first of that attempt: a fragment
        with sequence 0 and an empty text, which readers join like any other. Cancelling it is safe.
        Raises `LeaseLost` or, rarely, `DeliveryFailed`: the record may be in the topic, and the attempt is over.
        Raises `RecordTooLarge` when the record is above its topic's limit: nothing was sent.
        """
        ...


class Lease(Protocol):
    """Whether the group still takes this process for alive."""

    def alive(self) -> bool:
        """True while the last successful heartbeat is younger than the session timeout. Cheap."""
        ...


class PayLease(Lease, Protocol):
    """A lease that also knows whether this process may pay for its jobs."""

    def may_pay(self) -> bool:
        """True while it is alive and every partition with jobs here is known to be still ours. Cheap."""
        ...


class SendRight(Protocol):
    """Whether live records may be sent. What may not leave now is held back until it may, or is dropped."""

    def may_send(self, partition: int) -> bool:
        """Whether a fragment or an `uploading` event of a partition may leave this process now. Cheap."""
        ...


@dataclass(frozen=True, slots=True)
class FinishedRecord:
    """An ended request, as the finished topic holds it (compact JSON with a version member `v`)."""

    request_id: str
    digest: str
    completion: RecordPosition
    ended_at_ms: int
    offset: int | None = None
    """Of the request's record in the requests topic; None if an older version has written this."""
    run: int | None = 1
    """None: the record that says it can't be read."""


class FinishedLog(Protocol):
    """The ended requests of one partition, within the dedup window."""

    def record(self, ended: FinishedRecord) -> OutRecord:
        """The record that remembers an ended request, to be written with its completion."""
        ...

    async def find(self, request_id: str) -> FinishedRecord | None:
        """Look up an id; a hit in the index is verified by reading the record."""
        ...

    def add(self, request_id: str, offset: int) -> None:
        """Remember an id whose finished record is durable at `offset`."""
        ...

    async def completion(self, record: FinishedRecord) -> OutRecord | None:
        """The completion read again from its position, byte for byte; None when retention has removed it."""
        ...


@dataclass(frozen=True, slots=True)
class ReadNote:
    """A note of the handovers topic and its offset; of a result that was written in parts, the offset of the last."""

    offset: int
    note: Note


@dataclass(slots=True)
class Step:
    """A change of a job, applied in memory: its records, and what to do when they are durable."""

    records: Sequence[OutRecord]
    after: Callable[[], None]


@dataclass(frozen=True, slots=True)
class JobSummary:
    """What must be known of a live job without looking into it, also while it is not in memory."""

    digest: str
    deadline_ms: int | None
    offset: int
    """Of the request's record in the requests topic."""
    attempt_since_ms: int | None = None
    """When its attempt began, if another process may be carrying it; see `PartitionJobs.attempt_since_ms`."""
    run: int = 1


class UnreadableJob(Exception):
    """A job record can't be read (a newer version, or damaged). It may be a paid task."""


class PartitionJobs(Protocol):
    """The live jobs of one owned partition. Made by the engine at assignment, closed once, never reused."""

    def summary(self, key: bytes, value: bytes) -> JobSummary:
        """What a job record says, without holding the job. Raises `UnreadableJob`."""
        ...

    def restore(self, key: bytes, value: bytes) -> None:
        """Take over one live job, in the topic's order, the last record of each key only. Raises `UnreadableJob`.

        Before `resume` it is held; afterwards, for a job that was left in the log till now, it goes on at once.
        """
        ...

    def attempt_since_ms(self) -> int | None:
        """When the oldest attempt began that another process may be carrying, among the restored jobs.

        Milliseconds since the epoch, by the clock of the process that began it. None: no job is in such an attempt.
        """
        ...

    async def resume(self, notes: Sequence[ReadNote] = (), follow_from: int | None = None) -> None:
        """Restore is complete: go on with the jobs. The event loop gets its turn between them.

        `notes` are those of the handovers partition in front of our marker, in the order of the log, from
        `attempt_since_ms` on; `follow_from` is the offset behind that marker. Both are left out when
        `attempt_since_ms` is None.
        """
        ...

    def summary_of(self, request_id: str) -> JobSummary | None:
        """What is known of a live job in memory; None when the id is not live here."""
        ...

    def accept(self, request: ParsedRequest, record: InRecord) -> Step:
        """Take on a new job. Called by intake, the id being neither live nor finished."""
        ...

    def cancel(self, request_id: str) -> Step | None:
        """Cancel a live job; None when the id is not live here, or its end is decided."""
        ...

    def has_ended(self, request_id: str) -> bool:
        """Whether the job is live and its end decided: the finished log may not know of it yet."""
        ...

    def __len__(self) -> int:
        """How many jobs are live."""
        ...

    async def close(self, *, carry: bool = False) -> None:
        """Stop driving jobs; tasks are left to the next owner. The writer is still open.

        Streams and calls are cut, or, with `carry`, go on in the process for whoever owns the partition next.
        """
        ...


class JobHost(Protocol):
    """The engine, as ownership sees it."""

    def open(self, partition: int, writer: Writer, finished: FinishedLog) -> PartitionJobs:
        """A new, empty set of jobs for a newly owned partition."""
        ...

    def room_bytes(self) -> int:
        """How many bytes of jobs may still be taken into memory; 0 or less when it is full. Cheap."""
        ...

    async def moving(self) -> None:
        """A rebalance has begun, or this process is about to leave: say what it carries. Bounded in time, never raises.

        Called when `PayLease.may_pay` is False, before the group is told that the partitions are free.
        """
        ...

    def lost(self, partition: int) -> None:
        """The partition is not ours, or not to be served here: what runs for it unannounced is cut. Cheap."""
        ...

    def intake_closed(self) -> str | None:
        """Why no new work is taken just now, as a short label for logs and metrics, or None. Called often, cheap."""
        ...
