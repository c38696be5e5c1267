"""The live records of a jobs partition: the last one of each key, as compaction would leave them, bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from service.kafka.marker import MARKER_KEY, PRIVATE_PREFIX, Marker
from service.kafka.partition.parked import ParkedJob
from service.kafka.partition.room import RestoreRoom
from service.kafka.ports import Headers, InRecord, JobSummary, UnreadableJob
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.kafka.takeover.log_reader import LogReader, StillWanted, log_unreadable
from service.slices import Slices
from service.words import in_words

Summarize = Callable[[bytes, bytes], JobSummary]
"""`PartitionJobs.summary` of a key and a value. Raises `UnreadableJob`."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record as it was read."""

    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record of the jobs topic that is no job for us, or offsets that can't be read: `key` then names them.

    `original` is None when there was no room for it: it is read again from `offset` when it is needed.
    """

    key: bytes
    offset: int
    digest: str
    reason: str
    original: Fetched | None


@dataclass(slots=True)
class LiveRecords:
    """What a takeover has read. `by_key` is in the order of the log."""

    room: RestoreRoom
    by_key: dict[bytes, LogRecord | ParkedJob | Unreadable] = field(default_factory=dict)
    gaps: list[Unreadable] = field(default_factory=list)
    """Places of the partition that can't be read: there may have been jobs."""

    held_bytes: int = 0
    """Of the values in memory."""

    def replace(self, key: bytes, record: LogRecord | ParkedJob | Unreadable | None) -> None:
        """Take the newer record of a key; None for a tombstone."""
        before = self.by_key.pop(key, None)
        self._count(-_bytes_of(before))
        if record is not None:
            self.by_key[key] = record
            self._count(_bytes_of(record))

    def take(self, key: bytes) -> LogRecord | ParkedJob | Unreadable:
        """Take a record out: somebody else holds it now."""
        record = self.by_key[key]
        self.replace(key, None)
        return record

    def add_gap(self, gap: UnreadableRange) -> None:
        """Remember offsets that can't be read, and their bytes as far as there is room."""
        raw = gap.raw or b""
        item = Unreadable(b"@%d" % gap.offset, gap.offset, digest_of(raw), gap.reason, gap)
        if len(raw) > self.room.left():
            item = without_original(item)
        self.gaps.append(item)
        self._count(_bytes_of(item))

    def release(self) -> None:
        """Let go of everything."""
        self.by_key.clear()
        self.gaps.clear()
        self._count(-self.held_bytes)

    def _count(self, size: int) -> None:
        self.held_bytes += size
        self.room.count(size)


async def read_live(
    live: LiveRecords,
    reader: LogReader,
    marker: Marker,
    topic: str,
    partition: int,
    wanted: StillWanted,
    *,
    summarize: Summarize,
    on_batch: Callable[[], None],
) -> None:
    """Read a jobs partition up to `marker` into `live`. Raises `RestoreFailed` or `Superseded`.

    Records are kept in memory, the oldest first, as long as there is room; of the others only the offset and what must
    be known of them: the summary of a job, the digest of what is no job.
    """
    slices = Slices()
    async for records in reader.until(marker, topic, partition, wanted):
        for record in records:
            if isinstance(record, UnreadableRange):
                log_unreadable(record, "jobs whose last record was there are not known; they may be paid tasks")
                live.add_gap(record)
            elif record.key is not None and record.key != MARKER_KEY:
                live.replace(record.key, _kept(live, record, record.key, summarize))
            await slices.turn()
        on_batch()


def unreadable(record: LogRecord, error: Exception, topic: str, partition: int) -> Unreadable:
    """What is kept of a record that the engine can't read, with the record itself."""
    original = InRecord(
        topic, partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
    )  # fmt: skip
    reason = str(error) if isinstance(error, UnreadableJob) else in_words(error)
    return Unreadable(record.key, record.offset, digest_of(record.value), reason, original)


def without_original(item: Unreadable) -> Unreadable:
    """The same without the record itself."""
    return Unreadable(item.key, item.offset, item.digest, item.reason, None)


def digest_of(raw: bytes) -> str:
    """The digest by which a later takeover knows that a record is the one of which it was told."""
    return blake2b(raw, digest_size=16).hexdigest()


def _kept(
    live: LiveRecords, record: InRecord, key: bytes, summarize: Summarize
) -> LogRecord | ParkedJob | Unreadable | None:
    value = record.value
    if value is None:
        return None
    kept = LogRecord(record.offset, record.timestamp_ms, key, value, record.headers)
    if len(value) > live.room.left() and not key.startswith(PRIVATE_PREFIX):
        try:
            summary = summarize(key, value)
        except Exception as error:  # noqa: BLE001 — whatever it was, it concerns this record alone
            return without_original(unreadable(kept, error, record.topic, record.partition))
        if summary.attempt_since_ms is None:  # what runs can't wait in the log: it may run in this process
            return ParkedJob(key, record.offset, len(value), summary)
    return kept


def _bytes_of(record: LogRecord | ParkedJob | Unreadable | None) -> int:
    """Of the value, if it is in memory."""
    if isinstance(record, LogRecord):
        return len(record.value)
    original = record.original if isinstance(record, Unreadable) else None
    raw = original.raw if isinstance(original, UnreadableRange) else original.value if original else None
    return len(raw or b"")
