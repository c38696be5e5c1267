"""What becomes of records of the requests topic: jobs, events and dead letters, in one transaction per batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from contracts.cloudevents import encode
from contracts.codes import DeadLetterCode
from contracts.events import CancelIgnored, Duplicate
from contracts.requests import AnalyzeRequest, CancelRequest, ParsedRequest, RejectedRecord, parse_request
from service.clock import Clock, rfc3339
from service.domain.identity import event_id, event_source
from service.kafka.logs.point_reader import ReadFailed
from service.kafka.partition.batch import Batch, Draft
from service.kafka.partition.dead_letter import code_of, dead_letter, range_letter
from service.kafka.partition.parked import ParkedJobs
from service.kafka.ports import (
    FinishedLog,
    FinishedRecord,
    InRecord,
    OutRecord,
    PartitionJobs,
    RecordLimits,
    RecordTooLarge,
)
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.settings import Settings
from service.slices import Slices
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics
from service.words import kind_of

log = structlog.get_logger()
_T = TypeVar("_T")

BATCH_BYTES = 1024 * 1024
"""A batch ends with the record that brings its unit to this size. The largest possible unit is one record more."""

_AGAIN_SECONDS = 1.0

_READ_AGAIN = "read_again"
"""The outcome of a record that has become a job before: its offset was not committed. Nobody has sent it twice."""


class Intake:
    """Turns the records of one partition into batches. Called by the runtime's intake task alone."""

    def __init__(
        self,
        partition: int,
        *,
        settings: Settings,
        jobs: PartitionJobs,
        finished: FinishedLog,
        parked: ParkedJobs,
        limits: RecordLimits,
        quarantined: frozenset[bytes],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._partition = partition
        self._topics = settings.topics
        self._max_request_bytes = settings.jobs.max_request_bytes
        self._limits = limits
        self._jobs = jobs
        self._finished = finished
        self._parked = parked
        self._quarantined = quarantined
        self._metrics = metrics
        self._clock = clock
        self._source = event_source(settings.topics.requests)

    async def batches(self, records: Sequence[Fetched]) -> AsyncGenerator[Batch]:
        """The records in batches, each to be made durable before the next is asked for.

        Jobs are taken on in memory as a batch is made. Waits while Kafka can't be read. The event loop gets its turn
        between records.
        """
        draft = Draft(self._limits, self._count)
        slices = Slices()
        for record in records:
            if not await self._take(draft, record):
                yield draft.batch()
                draft = Draft(self._limits, self._count)
                await self._take(draft, record)
            draft.consumed(record)
            if draft.bytes >= BATCH_BYTES:
                yield draft.batch()
                draft = Draft(self._limits, self._count)
            await slices.turn()
        if draft.count:
            yield draft.batch()

    async def _take(self, draft: Draft, record: Fetched) -> bool:
        """Put what a record leads to into the draft. False, with nothing done, if the draft must be durable before."""
        if isinstance(record, UnreadableRange):
            self._pass_over(draft, record)
            return True
        try:
            parsed = parse_request(record.value, record.headers, max_bytes=self._max_request_bytes, key=record.key)
        except RejectedRecord as rejected:
            self._reject(draft, record, rejected.code, rejected.message, rejected.request_id)
            return True
        except Exception as error:
            log.error(LogEvent.PARSER_FAILED, partition=record.partition, offset=record.offset, exc_info=error)
            message = f"could not be parsed ({kind_of(error)}); report this record"
            self._reject(draft, record, DeadLetterCode.INVALID, message, None)
            return True
        if isinstance(parsed.request, CancelRequest):
            # To wait for memory is to wait for jobs to end, and those canceled in the draft end when it is durable.
            if draft.count and not self._parked.loads_at_once(parsed.request.request_id):
                return False
            await self._cancel(draft, parsed.request, record, parsed)
        else:
            await self._analyze(draft, parsed.request, record, parsed)
        return True

    async def _analyze(self, draft: Draft, request: AnalyzeRequest, record: InRecord, parsed: ParsedRequest) -> None:
        request_id = request.request_id
        live = self._jobs.summary_of(request_id) or self._parked.summary_of(request_id)
        if live is not None and (live.offset, live.digest) == (record.offset, parsed.digest):
            draft.write(_READ_AGAIN)
            return
        if live is not None or request_id.encode() in self._quarantined:
            same_body = live is not None and live.digest == parsed.digest
            draft.write("duplicate", self._duplicate(request, record, parsed, same_body=same_body))
            return
        finished = await self._patiently(lambda: self._finished.find(request_id))
        if finished is None or (finished.run is not None and finished.run < request.run):
            self._accept(draft, record, parsed)
            return
        if (finished.offset, finished.digest) == (record.offset, parsed.digest):
            draft.write(_READ_AGAIN)
            return
        event = self._duplicate(request, record, parsed, same_body=finished.digest == parsed.digest)
        again = await self._completion_again(finished)
        draft.write("duplicate", event, *again)

    def _accept(self, draft: Draft, record: InRecord, parsed: ParsedRequest) -> None:
        code = DeadLetterCode.INVALID
        try:
            step = self._jobs.accept(parsed, record)
        except RecordTooLarge as error:
            code, message = DeadLetterCode.TOO_LARGE, f"the job of this request can't be kept: {error}"
        except Exception as error:
            log.error(LogEvent.ACCEPT_FAILED, partition=record.partition, offset=record.offset, exc_info=error)
            message = f"could not be accepted ({kind_of(error)}); report this record"
        else:
            draft.accept(step, record.timestamp_ms)
            return
        self._reject(draft, record, code, message, parsed.request.request_id)

    async def _completion_again(self, finished: FinishedRecord) -> list[OutRecord]:
        completion = await self._patiently(lambda: self._finished.completion(finished))
        if completion is None:
            log.warning(
                LogEvent.COMPLETION_GONE,
                request_id=finished.request_id,
                partition=self._partition,
                todo="keep records of the completions topic for at least jobs.dedup_hours",
            )
            return []
        return [
            OutRecord(self._topics.completions, self._partition, completion.key, completion.value, completion.headers)
        ]

    async def _cancel(self, draft: Draft, request: CancelRequest, record: InRecord, parsed: ParsedRequest) -> None:
        request_id = request.request_id
        await self._patiently(lambda: self._parked.load(request_id))
        step = self._jobs.cancel(request_id)
        if step is not None:
            draft.take(step, "cancel")
            return
        over, run = self._jobs.has_ended(request_id), None
        if over:
            live = self._jobs.summary_of(request_id)
            run = None if live is None else live.run
        else:
            finished = await self._patiently(lambda: self._finished.find(request_id))
            over, run = finished is not None, None if finished is None else finished.run
        event = CancelIgnored(
            request_id=request_id,
            run=run or 1,
            attempt=1,
            time=self._now(),
            metadata=request.metadata,
            tenant=request.tenant,
            reason="finished" if over else "unknown",
        )
        draft.write("cancel_ignored", self._progress(event, record, parsed))

    def _duplicate(
        self, request: AnalyzeRequest, record: InRecord, parsed: ParsedRequest, *, same_body: bool
    ) -> OutRecord:
        event = Duplicate(
            request_id=request.request_id,
            run=request.run,
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
        self, draft: Draft, record: InRecord, code: DeadLetterCode, message: str, request_id: str | None
    ) -> None:
        log.warning(
            LogEvent.RECORD_REJECTED,
            partition=record.partition,
            offset=record.offset,
            request_id=request_id,
            code=code,
            reason=message,
        )
        letter = dead_letter(
            record,
            topic=self._topics.dead_letters,
            code=code,
            message=message,
            failed_at=self._clock.time(),
            limits=self._limits,
        )
        self._metrics.dead_letters.labels(code=code).inc()
        draft.write("dead_letter", letter)

    def _pass_over(self, draft: Draft, gap: UnreadableRange) -> None:
        """What can't be read is nobody's request: the dead letter names its position, and the offset moves on."""
        log.error(
            LogEvent.RECORD_REJECTED,
            partition=gap.partition,
            offset=gap.offset,
            last_offset=gap.last_offset,
            code=code_of(gap),
            reason=gap.reason,
        )
        letter = range_letter(gap, topic=self._topics.dead_letters, failed_at=self._clock.time(), limits=self._limits)
        self._metrics.dead_letters.labels(code=code_of(gap)).inc()
        draft.write("dead_letter", letter)

    def _count(self, batch: Batch) -> None:
        for outcome in batch.outcomes:
            self._metrics.requests.labels(outcome=outcome).inc()
        now_ms = self._clock.time() * 1000
        for sent_ms in batch.accepted_ms:
            if sent_ms >= 0:  # a record may have none
                self._metrics.accept_seconds.observe(max(0.0, now_ms - sent_ms) / 1000)

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
