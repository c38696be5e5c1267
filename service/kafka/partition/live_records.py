"""The live records of a jobs partition: the last one of each key, as compaction would leave them, bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from service.kafka.marker import MARKER_KEY, PRIVATE_PREFIX, Marker
from service.kafka.partition.restore import LogReader, StillWanted
from service.kafka.ports import Headers, InRecord, JobSummary
from service.kafka.reading.fetched import UnreadableRange
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


@dataclass(frozen=True, slots=True)
class LeftInLog:
    """A job that was not taken into memory: where its record is, and what must be known of it meanwhile."""

    key: bytes
    offset: int
    size: int
    summary: JobSummary


@dataclass(slots=True)
class LiveRecords:
    """What a takeover has read. `by_key` is in the order of the log."""

    by_key: dict[bytes, LogRecord | LeftInLog] = field(default_factory=dict)
    unreadable: list[UnreadableRange] = field(default_factory=list)
    """Places of the partition that can't be read: there may have been jobs."""

    held_bytes: int = 0
    """Of the values in memory."""

    def replace(self, key: bytes, record: LogRecord | LeftInLog | None) -> None:
        """Take the newer record of a key; None for a tombstone."""
        before = self.by_key.pop(key, None)
        if isinstance(before, LogRecord):
            self.held_bytes -= len(before.value)
        if record is not None:
            self.by_key[key] = record
            if isinstance(record, LogRecord):
                self.held_bytes += len(record.value)


async def read_live(
    reader: LogReader,
    marker: Marker,
    topic: str,
    partition: int,
    wanted: StillWanted,
    *,
    room_bytes: int,
    summarize: Summarize,
    on_batch: Callable[[], None],
) -> LiveRecords:
    """Read a jobs partition up to `marker`. Raises `RestoreFailed` or `Superseded`.

    Jobs are kept in memory, the oldest first, up to `room_bytes`; of the others only the place and the summary. A
    record that can't be summarized is kept, because it is going to be quarantined.
    """
    live = LiveRecords()
    slices = Slices()
    async for records in reader.until(marker, topic, partition, wanted):
        for record in records:
            if isinstance(record, UnreadableRange):
                live.unreadable.append(record)
            elif record.key is not None and record.key != MARKER_KEY:
                live.replace(record.key, _kept(live, record, record.key, room_bytes, summarize))
            await slices.turn()
        on_batch()
    return live


def _kept(
    live: LiveRecords, record: InRecord, key: bytes, room_bytes: int, summarize: Summarize
) -> LogRecord | LeftInLog | None:
    value = record.value
    if value is None:
        return None
    if live.held_bytes + len(value) > room_bytes and not key.startswith(PRIVATE_PREFIX):
        try:
            return LeftInLog(key, record.offset, len(value), summarize(key, value))
        except Exception:  # noqa: BLE001, S110 — quarantined by the restore, which meets it again and says why
            pass
    return LogRecord(record.offset, record.timestamp_ms, key, value, record.headers)
