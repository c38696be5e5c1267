"""What becomes of records of the requests topic: jobs, events and dead letters, in one transaction per batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from contracts.cloudevents import encode
from contracts.codes import DeadLetterCode
from contracts.events import CancelIgnored, Duplicate
from contracts.requests import AnalyzeRequest, CancelRequest, ParsedRequest, RejectedRecord, parse_request
from service.clock import Clock, rfc3339
from service.domain.identity import event_id, event_source
from service.kafka.connection import largest_record_bytes
from service.kafka.logs.point_reader import ReadFailed
from service.kafka.partition.dead_letter import dead_letter
from service.kafka.ports import (
    FinishedLog,
    FinishedRecord,
    InRecord,
    OutRecord,
    PartitionJobs,
    RecordPosition,
    Step,
    WriteUnit,
)
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()
_T = TypeVar("_T")

_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of records: the unit to write, and what follows when it is durable."""

    unit: WriteUnit
    steps: tuple[Step, ...]
    count: int
    outcomes: tuple[str, ...]
    on_durable: Callable[[Batch], None]

    def durable(self, places: Sequence[RecordPosition]) -> None:
        """Called once the unit is durable: the jobs go on, in the order of their records."""
        self.on_durable(self)
        for step in self.steps:
            step.after()


@dataclass(slots=True)
class _Draft:
    """A batch in the making."""

    records: list[OutRecord]
    steps: list[Step]
    outcomes: list[str]

    def take(self, step: Step, outcome: str) -> None:
        self.records.extend(step.records)
        self.steps.append(step)
        self.outcomes.append(outcome)

    def write(self, outcome: str, *records: OutRecord) -> None:
        self.records.extend(records)
        self.outcomes.append(outcome)


class Intake:
    """Turns batches of one partition into units. Called by the runtime's intake task alone."""

    def __init__(
        self,
        partition: int,
        *,
        settings: Settings,
        jobs: PartitionJobs,
        finished: FinishedLog,
        quarantined: frozenset[bytes],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._partition = partition
        self._topics = settings.topics
        self._max_request_bytes = settings.jobs.max_request_bytes
        self._limit_bytes = largest_record_bytes(settings.kafka)
        self._jobs = jobs
        self._finished = finished
        self._quarantined = quarantined
        self._metrics = metrics
        self._clock = clock
        self._source = event_source(settings.topics.requests)

    async def prepare(self, records: Sequence[InRecord]) -> Batch:
        """The unit of a batch. Jobs are taken on in memory as it is made; waits while Kafka can't be read."""
        draft = _Draft([], [], [])
        for record in records:
            try:
                parsed = parse_request(record.value, record.headers, max_bytes=self._max_request_bytes, key=record.key)
            except RejectedRecord as rejected:
                self._reject(draft, record, rejected.code, rejected.message, rejected.request_id)
                continue
            except Exception as error:
                log.error(LogEvent.PARSER_FAILED, partition=record.partition, offset=record.offset, exc_info=error)
                self._reject(draft, record, DeadLetterCode.INVALID, f"could not be parsed: {error!r}", None)
                continue
            request = parsed.request
            if isinstance(request, CancelRequest):
                await self._cancel(draft, request, record, parsed)
            else:
                await self._analyze(draft, request, record, parsed)
        unit = WriteUnit(draft.records, input_offset=records[-1].offset + 1)
        return Batch(unit, tuple(draft.steps), len(records), tuple(draft.outcomes), self._count)

    async def _analyze(self, draft: _Draft, request: AnalyzeRequest, record: InRecord, parsed: ParsedRequest) -> None:
        request_id = request.request_id
        live = self._jobs.digest_of(request_id)
        if live is not None or request_id.encode() in self._quarantined:
            draft.write("duplicate", self._duplicate(request, record, parsed, same_body=live == parsed.digest))
            return
        finished = await self._patiently(lambda: self._finished.find(request_id))
        if finished is None:
            self._accept(draft, record, parsed)
            return
        event = self._duplicate(request, record, parsed, same_body=finished.digest == parsed.digest)
        again = await self._completion_again(finished)
        draft.write("duplicate", event, *again)

    def _accept(self, draft: _Draft, record: InRecord, parsed: ParsedRequest) -> None:
        try:
            step = self._jobs.accept(parsed, record)
        except Exception as error:
            log.error(LogEvent.ACCEPT_FAILED, partition=record.partition, offset=record.offset, exc_info=error)
            message = f"could not be accepted: {error!r}"
            self._reject(draft, record, DeadLetterCode.INVALID, message, parsed.request.request_id)
        else:
            draft.take(step, "accepted")

    async def _completion_again(self, finished: FinishedRecord) -> list[OutRecord]:
        completion = await self._patiently(lambda: self._finished.completion(finished))
        if completion is None:
            log.warning(
                LogEvent.COMPLETION_GONE,
                request_id=finished.request_id,
                partition=self._partition,
                todo="the completions topic keeps its records for less long than jobs.dedup_hours",
            )
            return []
        return [
            OutRecord(self._topics.completions, self._partition, completion.key, completion.value, completion.headers)
        ]

    async def _cancel(self, draft: _Draft, request: CancelRequest, record: InRecord, parsed: ParsedRequest) -> None:
        request_id = request.request_id
        step = self._jobs.cancel(request_id, record)
        if step is not None:
            draft.take(step, "cancel")
            return
        finished = await self._patiently(lambda: self._finished.find(request_id))
        event = CancelIgnored(
            request_id=request_id,
            attempt=1,
            time=self._now(),
            reason="unknown" if finished is None else "finished",
        )
        draft.write("cancel_ignored", self._progress(event, record, parsed))

    def _duplicate(
        self, request: AnalyzeRequest, record: InRecord, parsed: ParsedRequest, *, same_body: bool
    ) -> OutRecord:
        event = Duplicate(
            request_id=request.request_id,
            attempt=1,
            time=self._now(),
            metadata=request.metadata,
            tenant=request.tenant,
            same_body=same_body,
        )
        return self._progress(event, record, parsed)

    def _progress(self, event: Duplicate | CancelIgnored, record: InRecord, parsed: ParsedRequest) -> OutRecord:
        value, headers = encode(
            event,
            source=self._source,
            event_id=event_id(record.partition, record.offset, event.type),
            traceparent=parsed.traceparent,
            tracestate=parsed.tracestate,
        )
        key = event.request_id.encode() if record.key is None else record.key
        return OutRecord(self._topics.progress, self._partition, key, value, headers)

    def _reject(
        self, draft: _Draft, record: InRecord, code: DeadLetterCode, message: str, request_id: str | None
    ) -> None:
        log.warning(
            LogEvent.RECORD_REJECTED,
            partition=record.partition,
            offset=record.offset,
            request_id=request_id,
            code=code,
            reason=message,
        )
        self._metrics.dead_letters.labels(code=code).inc()
        letter = dead_letter(
            record,
            topic=self._topics.dead_letters,
            code=code,
            message=message,
            failed_at=self._clock.time(),
            limit_bytes=self._limit_bytes,
        )
        draft.write("dead_letter", letter)

    def _count(self, batch: Batch) -> None:
        for outcome in batch.outcomes:
            self._metrics.requests.labels(outcome=outcome).inc()

    async def _patiently(self, read: Callable[[], Awaitable[_T]]) -> _T:
        """Repeat a read until Kafka answers: the next record can't be decided on before this one."""
        told = False
        while True:
            try:
                return await read()
            except ReadFailed as error:
                if not told:
                    log.warning(LogEvent.INTAKE_WAITS, partition=self._partition, reason=str(error))
                    told = True
            await asyncio.sleep(_AGAIN_SECONDS)

    def _now(self) -> str:
        return rfc3339(self._clock.time())
