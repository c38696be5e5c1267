"""The transactional writer: state, events and input offset of one partition become durable together."""

from __future__ import annotations

from collections.abc import Sequence

from service.clock import Clock
from service.failpoints import Point, failpoint
from service.kafka.connecting.connection import transactional_options, written_topics
from service.kafka.ports import OutRecord, RecordPosition, WriteUnit
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.group_commit import GroupCommitWriter
from service.kafka.writing.pace import TransactionPace
from service.kafka.writing.producer import BoundedProducer, MakeProducer
from service.settings import Settings
from service.telemetry.metrics import Metrics


class TransactionalWriter(GroupCommitWriter):
    """One transactional producer for one input partition, whose `transactional.id` fences the predecessor.

    A record of `WriteUnit.then` that is too large kills the writer, unlike one of `WriteUnit.records`: by then others
    of its group have been sent.
    """

    def __init__(
        self,
        partition: int,
        *,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        pace: TransactionPace | None = None,
        limits: TopicLimits | None = None,
        make_producer: MakeProducer = BoundedProducer,
    ) -> None:
        super().__init__(partition, settings=settings, metrics=metrics, clock=clock, pace=pace, limits=limits)
        self._producer = make_producer(
            settings.kafka, {**transactional_options(settings.kafka, partition), **self._batch_options()}
        )

    async def _open(self) -> None:
        await self._producer.start(written_topics(self._settings.topics))

    async def _write(self, units: Sequence[WriteUnit]) -> list[list[RecordPosition]]:
        producer = self._producer
        await producer.begin()
        for topic in {topic for unit in units for topic in unit.touches}:
            producer.expect(topic, self.partition)
        if any(unit.then for unit in units):
            # What follows goes there: added with the first records, it costs no round trip of its own.
            producer.expect(self._settings.topics.finished, self.partition)
        sent = await producer.send(record for unit in units for record in unit.records)
        written = iter(await producer.delivered(sent))
        positions = [[next(written) for _ in unit.records] for unit in units]
        further = [list(unit.then(found)) if unit.then else [] for unit, found in zip(units, positions, strict=True)]
        if any(further):
            positions = await self._write_further(positions, further)
        # Only now: while the coordinator adds the group to the transaction, a broker that checks a produce request
        # against it answers "not enough replicas", and aiokafka waits 100 ms.
        await self._send_offset(units)
        failpoint(Point.BEFORE_COMMIT)
        await producer.commit()
        return positions

    async def _write_further(
        self, positions: list[list[RecordPosition]], further: list[list[OutRecord]]
    ) -> list[list[RecordPosition]]:
        sent = await self._producer.send(record for records in further for record in records)
        written = iter(await self._producer.delivered(sent))
        return [found + [next(written) for _ in records] for found, records in zip(positions, further, strict=True)]

    async def _send_offset(self, units: Sequence[WriteUnit]) -> None:
        offset = max((unit.input_offset for unit in units if unit.input_offset is not None), default=None)
        if offset is not None:
            topic, group = self._settings.topics.requests, self._settings.kafka.group_id
            await self._producer.send_offset(topic, self.partition, offset, group)

    async def _abandon(self, *, fenced: bool) -> None:
        if not fenced:  # else the successor has settled it
            await self._producer.abort()
        await self._producer.kill()

    async def _shut(self) -> None:
        await self._producer.stop()
