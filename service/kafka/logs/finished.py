"""The ended requests of a partition: written at a job's end, found again when its id comes a second time."""

from __future__ import annotations

import orjson
import structlog

from service.clock import Clock
from service.kafka.logs.index import FingerprintIndex, Keys, Offsets, fingerprint
from service.kafka.logs.point_reader import PointReader
from service.kafka.ports import FinishedRecord, OutRecord, RecordPosition
from service.kafka.reading.fetched import UnreadableRange
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

VERSION = 1

NO_OFFSET = -1
"""Of a completion whose position is not known, because the record that says it can't be read."""


def encode_finished(record: FinishedRecord) -> bytes:
    """The value: compact JSON with a version."""
    position = record.completion
    return orjson.dumps(
        {
            "v": VERSION,
            "id": record.request_id,
            "digest": record.digest,
            "completion": [position.topic, position.partition, position.offset],
            "ended_at_ms": record.ended_at_ms,
            "offset": record.offset,
            "run": record.run,
        }
    )


def decode_finished(value: bytes) -> FinishedRecord | None:
    """Read a value; None when it is damaged or of a version that this program does not know."""
    try:
        record = orjson.loads(value)
        if record["v"] != VERSION:
            return None
        topic, partition, offset = record["completion"]
        of_request = record.get("offset")
        return FinishedRecord(
            record["id"],
            record["digest"],
            RecordPosition(topic, int(partition), int(offset)),
            int(record["ended_at_ms"]),
            None if of_request is None else int(of_request),
            int(record.get("run", 1)),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class KafkaFinishedLog:
    """The `FinishedLog` of one owned partition: an index in memory over records in Kafka."""

    def __init__(
        self,
        partition: int,
        *,
        dedup_hours: float,
        finished: PointReader,
        completions: PointReader,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.partition = partition
        self._index = FingerprintIndex()
        self._window_ms = dedup_hours * 3_600_000
        self._topic = finished.topic
        self._finished = finished
        self._completions = completions
        self._entries = metrics.dedup_entries.labels(partition=str(partition))
        self._clock = clock

    def __len__(self) -> int:
        return len(self._index)

    def record(self, ended: FinishedRecord) -> OutRecord:
        # The key alone is enough to restore the index.
        return OutRecord(self._topic, self.partition, ended.request_id.encode(), encode_finished(ended))

    async def find(self, request_id: str) -> FinishedRecord | None:
        """Look up an id; a hit is verified by reading the record. Raises `ReadFailed` (try again later).

        A record that can't be read counts as found: its request has ended, and must not be paid again.
        """
        offset = self._index.get(fingerprint(request_id.encode()))
        if offset is None:
            return None
        record = await self._finished.at(self.partition, offset)
        if isinstance(record, UnreadableRange):
            # Most likely it is this id: 64 bits agree. Taking it for a new request might pay for it twice.
            return self._ended_somewhere(request_id, offset, record.reason, int(self._clock.time() * 1000))
        if record is None or record.value is None or record.key != request_id.encode():
            return None
        finished = decode_finished(record.value)
        if finished is None or finished.request_id != request_id:
            # A newer version wrote it, or it is damaged. The key alone says that this request has ended.
            finished = self._ended_somewhere(request_id, offset, "its value can't be read", record.timestamp_ms)
        if finished.ended_at_ms < self._clock.time() * 1000 - self._window_ms:
            return None  # the dedup window is over, though retention has not removed the segment yet
        return finished

    def _ended_somewhere(self, request_id: str, offset: int, reason: str, ended_at_ms: int) -> FinishedRecord:
        """A request that has ended, nobody knows with which completion."""
        log.error(
            LogEvent.FINISHED_UNREADABLE,
            request_id=request_id,
            partition=self.partition,
            offset=offset,
            reason=reason,
            consequence="the request counts as finished: nothing is paid again, its completion is not sent again",
        )
        position = RecordPosition(self._topic, self.partition, NO_OFFSET)
        return FinishedRecord(request_id, "", position, ended_at_ms, run=None)

    def add(self, request_id: str, offset: int) -> None:
        self._index.put(fingerprint(request_id.encode()), offset)
        self._entries.set(len(self._index))

    async def completion(self, record: FinishedRecord) -> OutRecord | None:
        """The completion, byte for byte; None when it is gone. Raises `ReadFailed`.

        The record at its position must be of this request: in topics that were copied to another cluster, offsets
        differ, and nobody may get another one's answer.
        """
        position = record.completion
        if position.offset == NO_OFFSET:
            return None
        found = await self._completions.at(position.partition, position.offset)
        if found is None or isinstance(found, UnreadableRange) or found.value is None:
            return None
        if any(name == "ce_subject" and value != record.request_id.encode() for name, value in found.headers):
            return None
        return OutRecord(position.topic, position.partition, found.key, found.value, found.headers)

    def adopt(self, keys: Keys, offsets: Offsets) -> None:
        """Take the index that a takeover has built. Called once."""
        self._index.adopt(keys, offsets)
        self._entries.set(len(self._index))

    def drop_below(self, offset: int) -> int:
        """Forget what retention has removed; called from time to time."""
        dropped = self._index.drop_below(offset)
        self._entries.set(len(self._index))
        return dropped
