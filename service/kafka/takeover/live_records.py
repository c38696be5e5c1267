"""The live records of a jobs partition: the last one of each key, as compaction would leave them, bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from service.kafka.marker import MARKER_KEY, PRIVATE_PREFIX, Marker
from service.kafka.partition.parked import ParkedJob
from service.kafka.ports import Headers, InRecord, JobSummary
from service.kafka.reading.fetched import UnreadableRange
from service.kafka.takeover.log_reader import LogReader, StillWanted
from service.slices import Slices

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


class RestoreRoom:
    """How many bytes of jobs may still be read into memory, for all takeovers of the process together.

    What a takeover has read is counted here until its jobs are handed to the engine, which counts them then.
    """

    def __init__(self, room_bytes: Callable[[], int]) -> None:
        self._room_bytes = room_bytes
        self._reading = 0

    def left(self) -> int:
        return self._room_bytes() - self._reading

    def count(self, size: int) -> None:
        """So many bytes more are in memory, or less if negative."""
        self._reading += size


@dataclass(slots=True)
class LiveRecords:
    """What a takeover has read. `by_key` is in the order of the log."""

    room: RestoreRoom
    by_key: dict[bytes, LogRecord | ParkedJob] = field(default_factory=dict)
    unreadable: list[UnreadableRange] = field(default_factory=list)
    """Places of the partition that can't be read: there may have been jobs."""

    held_bytes: int = 0
    """Of the values in memory."""

    def replace(self, key: bytes, record: LogRecord | ParkedJob | None) -> None:
        """Take the newer record of a key; None for a tombstone."""
        before = self.by_key.pop(key, None)
        if isinstance(before, LogRecord):
            self._count(-len(before.value))
        if record is not None:
            self.by_key[key] = record
            if isinstance(record, LogRecord):
                self._count(len(record.value))

    def take(self, key: bytes) -> LogRecord | ParkedJob:
        """Take a record out: somebody else holds it now."""
        record = self.by_key[key]
        self.replace(key, None)
        return record

    def release(self) -> None:
        """Let go of everything."""
        self.by_key.clear()
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

    Jobs are kept in memory, the oldest first, as long as there is room; of the others only the place and the summary.
    A record that can't be summarized is kept, because it is going to be quarantined.
    """
    slices = Slices()
    async for records in reader.until(marker, topic, partition, wanted):
        for record in records:
            if isinstance(record, UnreadableRange):
                live.unreadable.append(record)
            elif record.key is not None and record.key != MARKER_KEY:
                live.replace(record.key, _kept(live, record, record.key, summarize))
            await slices.turn()
        on_batch()


def _kept(live: LiveRecords, record: InRecord, key: bytes, summarize: Summarize) -> LogRecord | ParkedJob | None:
    value = record.value
    if value is None:
        return None
    if len(value) > live.room.left() and not key.startswith(PRIVATE_PREFIX):
        try:
            summary = summarize(key, value)
            if summary.attempt_since_ms is None:  # what runs can't wait in the log: it may run in this process
                return ParkedJob(key, record.offset, len(value), summary)
        except Exception:  # noqa: BLE001, S110 — quarantined by the restore, which meets it again and says why
            pass
    return LogRecord(record.offset, record.timestamp_ms, key, value, record.headers)
