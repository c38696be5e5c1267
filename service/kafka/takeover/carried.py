"""What other processes carry for a partition that is being taken over: read before its jobs go on."""

from __future__ import annotations

from dataclasses import dataclass

from service.kafka.handover.records import NoteReader
from service.kafka.marker import Marker
from service.kafka.ports import PartitionJobs, ReadNote, RecordPosition
from service.kafka.takeover.log_reader import LogReader, StillWanted
from service.kafka.takeover.reader_pool import ReaderPool

_CLOCKS_MS = 60_000
"""By how much the clock of a process that wrote may be ahead of the one that began the attempt."""


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of a handovers partition in front of a marker of ours, and where to read on."""

    notes: tuple[ReadNote, ...] = ()
    follow_from: int | None = None


async def carried_for(
    readers: ReaderPool,
    topic: str,
    jobs: PartitionJobs,
    marker: Marker,
    marked: list[RecordPosition],
    wanted: StillWanted,
) -> Notes:
    """What other processes carry for these jobs, by the handovers `topic`.

    Nothing is read when no attempt of them is under way.
    """
    since_ms = jobs.attempt_since_ms()
    if since_ms is None:
        return Notes()
    position = next(position for position in marked if position.topic == topic)
    async with readers.lend(topic) as reader:
        return await read_notes(reader, marker, position, since_ms, wanted)


async def read_notes(
    reader: LogReader, marker: Marker, marked: RecordPosition, since_ms: int, wanted: StillWanted
) -> Notes:
    """The notes since a moment, up to `marker`, which stands at `marked`. Raises `RestoreFailed` or `Superseded`.

    A result of which only the first parts are in front of the marker is read again from its first part on.
    """
    topic, partition = marked.topic, marked.partition
    offset = await reader.first_since(topic, partition, since_ms - _CLOCKS_MS)
    joined, found = NoteReader(), []
    async for records in reader.until(marker, topic, partition, wanted, offset=offset or 0):
        found.extend(joined.read(records))
    behind = marked.offset + 1
    unfinished = joined.first_open()
    return Notes(tuple(found), behind if unfinished is None else min(behind, unfinished))
