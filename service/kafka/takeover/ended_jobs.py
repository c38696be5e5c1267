"""Jobs that have ended although their record is still there: what a crash leaves behind without transactions.

With `kafka.delivery=at_least_once` the end of a job is written in steps: its completion, then the finished record,
then the tombstone of the job. A crash between two steps leaves a live job whose completion is published; going on with
it would pay for it again. Called by a takeover before it hands the live jobs to the engine, unless the log says that
everything in it was written with transactions (`delivery_note.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from service.domain.identity import event_id
from service.kafka.logs.finished import KafkaFinishedLog, decode_finished
from service.kafka.logs.point_reader import PointReader
from service.kafka.marker import PRIVATE_PREFIX, Marker
from service.kafka.partition.parked import ParkedJob
from service.kafka.ports import FinishedRecord, Headers, InRecord, OutRecord, RecordPosition, UnreadableJob
from service.kafka.takeover.live_records import LiveRecords, Summarize, Unreadable
from service.kafka.takeover.log_reader import LogReader, StillWanted
from service.settings import TopicSettings

_LOOK_BACK = 100
"""Finished records from the end of the log whose completions are the last that are certainly accounted for.

One would do with a single writer; a process that was frozen may have written out of turn.
"""


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job whose completion is in the topic. `is_noted`: its finished record is there too.

    `offset` is that of the request's record in the requests topic.
    """

    key: bytes
    digest: str
    offset: int
    run: int
    completion: RecordPosition
    is_noted: bool

    def missing(self, finished: KafkaFinishedLog, jobs_topic: str, now_ms: int) -> list[OutRecord]:
        """What is still to be written of its end: the tombstone first."""
        tombstone = OutRecord(jobs_topic, finished.partition, self.key, None)
        note = FinishedRecord(self.key.decode(), self.digest, self.completion, now_ms, self.offset, self.run)
        return [tombstone] if self.is_noted else [tombstone, finished.record(note)]


class EndedJobs:
    """Searches the logs of one partition. `completions` reads single records, `reader` reads on from a position."""

    def __init__(
        self, partition: int, topics: TopicSettings, reader: LogReader, completions: PointReader, wanted: StillWanted
    ) -> None:
        self._partition = partition
        self._topics = topics
        self._reader = reader
        self._completions = completions
        self._wanted = wanted

    async def among(self, live: LiveRecords, summarize: Summarize, marker: Marker) -> list[EndedJob]:
        """Those of `live` that have ended. `marker` is ours in the finished partition, which is read up to it.

        A completion is recognised by its `ce_id`, which follows from the position of the request's record: an earlier
        request with the same id has another one. Raises `RestoreFailed`, `Superseded` or `ReadFailed`.
        """
        jobs = {
            event_id(self._partition, offset, "completion"): (key, digest, offset, run)
            for key, digest, offset, run in _summaries(live, summarize)
        }
        if not jobs:
            return []
        noted, first = await self._finished(live, marker)
        ended: dict[str, EndedJob] = {}
        for position in noted:
            record = await self._completions.at(position.partition, position.offset)
            identifier = _ce_id(record.headers) if isinstance(record, InRecord) else None
            if identifier in jobs:
                ended[identifier] = EndedJob(*jobs[identifier], position, is_noted=True)
        topic = self._topics.completions
        async for records in self._reader.since(topic, self._partition, first, self._wanted):
            for found in records:
                identifier = _ce_id(found.headers) if isinstance(found, InRecord) else None
                if identifier in jobs and identifier not in ended:
                    position = RecordPosition(topic, self._partition, found.offset)
                    ended[identifier] = EndedJob(*jobs[identifier], position, is_noted=False)
        return list(ended.values())

    async def _finished(self, live: LiveRecords, marker: Marker) -> tuple[list[RecordPosition], int]:
        """Completions noted for ids of `live`, and the offset of the first completion that may not be noted."""
        noted: dict[bytes, bytes] = {}
        last: deque[bytes] = deque(maxlen=_LOOK_BACK)
        hidden = False
        async for records in self._reader.until(marker, self._topics.finished, self._partition, self._wanted):
            for record in records:
                if not isinstance(record, InRecord):
                    hidden = True
                    continue
                if record.value is None:
                    continue
                last.append(record.value)
                if record.key in live.by_key:
                    noted[record.key] = record.value
        positions = [found.completion for value in noted.values() if (found := decode_finished(value)) is not None]
        known = [found.completion.offset for value in last if (found := decode_finished(value)) is not None]
        if hidden or len(positions) < len(noted) or len(known) < len(last):
            return positions, 0  # a record that can't be read may stand for any completion
        return positions, min(known, default=0)


def _summaries(live: LiveRecords, summarize: Summarize) -> Iterator[tuple[bytes, str, int, int]]:
    """Key, digest, offset and run of the request of every live job."""
    for key, record in live.by_key.items():
        if key.startswith(PRIVATE_PREFIX) or isinstance(record, Unreadable):
            continue
        try:
            summary = record.summary if isinstance(record, ParkedJob) else summarize(key, record.value)
        except UnreadableJob:
            continue  # it is going to be quarantined
        yield key, summary.digest, summary.offset, summary.run


def _ce_id(headers: Headers) -> str | None:
    """The `ce_id` of a record; None when it has none."""
    value = next((value for name, value in headers if name == "ce_id"), None)
    return None if value is None else value.decode("utf-8", "replace")
