"""The process that works: a transactional producer, the memory of what was sent, and where reading goes on.

What makes it safe is the transactional id, one for the whole group. `begin` starts the producer, which fences the
process before and settles its open transaction; only then are offsets and memory read. From that moment on nobody
else commits anything, until somebody else does the same: then this producer's next commit fails, and the process
stands back. The group only says whose turn it is, and may be wrong about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import structlog
from aiokafka import TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import OffsetAndMetadata

from service.clock import Clock
from service.errors import PartitionError
from service.ingest.judging import Incoming, Judge, Judgement
from service.ingest.log.group import IngestGroup
from service.ingest.log.note import Note, decoded
from service.ingest.log.recall import recall
from service.ingest.log.sent import SentLog
from service.ingest.memory import Memory
from service.ingest.rules.reading import Rules
from service.kafka.connecting.connection import producer_options
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.producer import BoundedProducer, ProducerFailed
from service.settings import Settings
from service.slices import Slices
from service.telemetry.events import LogEvent
from service.telemetry.ingest_metrics import IngestMetrics
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_SKEW_MS = 3_600_000
"""By which the clocks of brokers, processes and file servers may differ."""
_partition = DefaultPartitioner()


class Active:
    """Made by `begin`. Used from one event loop by the reader of topics, the receiver of webhooks and the watcher."""

    def __init__(
        self,
        settings: Settings,
        group_id: str,
        producer: BoundedProducer,
        metrics: Metrics,
        own: IngestMetrics,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._group_id = group_id
        self._producer = producer
        self._metrics = metrics
        self._own = own
        self._clock = clock
        self._lock = asyncio.Lock()
        self._judge: Judge | None = None
        self._told = SentLog()
        self.memory = Memory(seconds=settings.ingest.remember_hours * 3600, most=settings.ingest.max_remembered)
        self.positions: dict[TopicPartition, int] = {}
        self.note = Note(0)
        self._note_at: TopicPartition | None = None
        self.dead = False

    @classmethod
    async def begin(
        cls,
        settings: Settings,
        group: IngestGroup,
        group_id: str,
        rules: Rules,
        metrics: Metrics,
        own: IngestMetrics,
        clock: Clock,
    ) -> Active:
        """Become the one that works. Raises `PartitionError`."""
        options = {
            **producer_options(settings.kafka),
            "transactional_id": group_id,
            "transaction_timeout_ms": settings.kafka.transaction_timeout_ms,
        }
        producer = BoundedProducer(settings.kafka, options)
        active = cls(settings, group_id, producer, metrics, own, clock)
        topics = settings.topics
        await producer.start((topics.requests, topics.dead_letters))
        try:
            await active._prepare(group, rules)
        except BaseException:
            await active.close()
            raise
        log.info(LogEvent.INGEST_ACTIVE, group=group_id, remembered=len(active.memory))
        return active

    async def _prepare(self, group: IngestGroup, rules: Rules) -> None:
        topics = self._settings.topics
        numbers = sorted(await self._producer.raw.partitions_for(topics.requests))
        letters = await self._producer.raw.partitions_for(topics.dead_letters)
        self._judge = Judge(
            rules,
            self.memory,
            TopicLimits(),
            requests=topics.requests,
            dead_letters=topics.dead_letters,
            partition_of=lambda key: int(_partition(key, numbers, numbers)),
            letter_partitions=len(letters),
        )
        self._note_at = TopicPartition(rules.topics[0] if rules.topics else topics.requests, 0)
        reads = bool(rules.topics)
        committed = await group.committed({self._note_at, *(group.ours if reads else ())})
        now_ms = int(self._clock.time() * 1000)
        self.note = decoded(committed[self._note_at].metadata if self._note_at in committed else None) or Note(now_ms)
        if reads:
            await self._find_positions(group, group.ours, committed)
        else:
            # The group reads nothing: the offset only carries the note.
            self.positions[self._note_at] = (await group.bounds([self._note_at]))[1][self._note_at]
        since = [self.note.at_ms, now_ms]
        if self.note.folder_until_ms is not None:
            since.append(self.note.folder_until_ms)
        window_ms = int(self._settings.ingest.remember_hours * 3_600_000)
        await recall(
            self.memory,
            self._producer.raw.client,
            self._settings.kafka,
            topics.requests,
            numbers,
            since_ms=max(0, min(since) - window_ms - _SKEW_MS),
            now=self._clock.monotonic(),
        )
        self._own.remembered.set(len(self.memory))

    async def _find_positions(
        self,
        group: IngestGroup,
        partitions: frozenset[TopicPartition],
        committed: Mapping[TopicPartition, OffsetAndMetadata],
    ) -> None:
        beginnings, ends = await group.bounds(partitions)
        for where in partitions:
            offset = committed[where].offset if where in committed else None
            if offset is not None and not beginnings[where] <= offset <= ends[where]:
                log.error(
                    LogEvent.INGEST_OFFSET_LAPSED,
                    topic=where.topic,
                    partition=where.partition,
                    committed=offset,
                    beginning=beginnings[where],
                    end=ends[where],
                )
                offset = None
            self.positions[where] = beginnings[where] if offset is None else offset

    async def seek(self, group: IngestGroup) -> None:
        """Let the group read on from the positions of this process; new partitions from those of the group."""
        new = group.ours - self.positions.keys()
        if new:
            await self._find_positions(group, new, await group.committed(new))
        group.read_from({where: self.positions[where] for where in group.ours})

    async def take(
        self,
        batch: Sequence[Incoming],
        offsets: Mapping[TopicPartition, int] | None = None,
        *,
        note: Note | None = None,
    ) -> Judgement:
        """Write what becomes of `batch` in one transaction, with the next `offsets` to read. Durable when it returns.

        `note` replaces the members of the note that are about the folder. Raises `PartitionError`: then nothing is
        known of the transaction, and this object is of no use any more.
        """
        async with self._lock:
            if self.dead or self._judge is None or self._note_at is None:
                raise PartitionError("this process does not send requests any more")
            now = self._clock.time()
            judged = Judgement()
            slices = Slices()
            for one in batch:
                self._judge.judge(one, judged, now)
                await slices.turn()
            if not judged.records and not offsets and note is None:
                self._count(judged, ())
                return judged
            positions = self.positions | dict(offsets or {})
            noted = replace(note or self.note, at_ms=int(now * 1000))
            changed = {where: OffsetAndMetadata(offset, "") for where, offset in (offsets or {}).items()}
            changed[self._note_at] = OffsetAndMetadata(positions[self._note_at], noted.encoded())
            try:
                await self._write(judged, changed)
            except BaseException as error:
                self.dead = True
                fenced = isinstance(error, ProducerFailed) and error.fenced
                self._metrics.transactions.labels("fenced" if fenced else "failed").inc()
                raise
            self._metrics.transactions.labels("committed").inc()
            self.positions, self.note = positions, noted
            self._remember(judged, self._clock.monotonic())
            self._count(judged, offsets or ())
            return judged

    async def _write(self, judged: Judgement, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        producer = self._producer
        await producer.begin()
        sent = await producer.send(judged.records)
        await producer.delivered(sent)
        await producer.send_offsets(offsets, self._group_id)
        await producer.commit()

    def _remember(self, judged: Judgement, now: float) -> None:
        for request_id in judged.sent:
            self.memory.sent(request_id, now)
        for digest, sequencer in judged.changes.items():
            self.memory.changed(digest, sequencer, now)
        self.memory.expire(now)
        self._own.remembered.set(len(self.memory))

    def _count(self, judged: Judgement, read: Iterable[TopicPartition]) -> None:
        self._told.add(judged.outcomes, read)
        for outcome, count in judged.outcomes.items():
            self._own.notifications.labels(outcome).inc(count)
        for rule in judged.sent.values():
            self._own.requests.labels(rule).inc()
        for code, count in judged.letters.items():
            self._metrics.dead_letters.labels(code).inc(count)

    async def close(self) -> None:
        """Stop the producer. Never raises; bounded in time."""
        self.dead = True
        async with self._lock:  # what is under way ends first
            self._told.close()
            await self._producer.abort()
            await self._producer.kill()
