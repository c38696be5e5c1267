"""From the domain's values to records: topics, keys, headers and ids are decided here."""

from __future__ import annotations

from contracts.cloudevents import encode
from contracts.events import (
    Accepted,
    AssetReady,
    Canceled,
    CancelIgnored,
    Completed,
    Failed,
    Interrupted,
    Retrying,
    StreamStarted,
    TaskCreated,
    TaskStatus,
    Uploading,
)
from contracts.fragments import FragmentEncoder
from contracts.requests import AnalyzeRequest
from service.clock import rfc3339
from service.domain.change import Event
from service.domain.identity import event_id, event_source
from service.domain.job import Job, encode_job
from service.kafka.logs.finished import encode_finished
from service.kafka.ports import FinishedRecord, OutRecord, RecordPosition
from service.settings import TopicSettings

_COMPLETIONS: dict[str, type[Completed | Failed | Canceled]] = {
    "completed": Completed,
    "failed": Failed,
    "canceled": Canceled,
}
_PROGRESS: dict[
    str,
    type[Accepted | Uploading | AssetReady | StreamStarted | TaskCreated | TaskStatus | Retrying | Interrupted]
    | type[CancelIgnored],
] = {
    "accepted": Accepted,
    "uploading": Uploading,
    "asset_ready": AssetReady,
    "stream_started": StreamStarted,
    "task_created": TaskCreated,
    "task_status": TaskStatus,
    "retrying": Retrying,
    "interrupted": Interrupted,
    "cancel_ignored": CancelIgnored,
}


class RecordBuilder:
    """Knows the topics; holds nothing of a job."""

    def __init__(self, topics: TopicSettings) -> None:
        self._topics = topics
        self.source = event_source(topics.requests)

    def event(self, job: Job, event: Event, request: AnalyzeRequest, seconds: float) -> OutRecord:
        """An event of a job at `seconds` since the epoch. A completion has one id for ever: it is there once."""
        model_type = _COMPLETIONS.get(event.type) or _PROGRESS[event.type]
        completion = event.type in _COMPLETIONS
        attempt = event.attempt or job.event_attempt
        if completion:
            identifier = event_id(job.partition, job.offset, "completion")
        else:
            identifier = event_id(job.partition, job.offset, event.type, attempt, *event.id_parts)
        model = model_type.model_validate(
            {
                "request_id": job.request_id,
                "attempt": attempt,
                "time": rfc3339(seconds),
                "metadata": request.metadata,
                "tenant": request.tenant,
                **event.members,
            }
        )
        value, headers = encode(
            model,
            source=self.source,
            event_id=identifier,
            traceparent=job.traceparent,
            tracestate=job.tracestate,
        )
        topic = self._topics.completions if completion else self._topics.progress
        return OutRecord(topic, job.partition, output_key(job), value, headers)

    def job(self, job: Job) -> OutRecord:
        """The job's durable state."""
        return OutRecord(self._topics.jobs, job.partition, job.request_id.encode(), encode_job(job))

    def tombstone(self, job: Job) -> OutRecord:
        """The job is no longer live."""
        return OutRecord(self._topics.jobs, job.partition, job.request_id.encode(), None)

    def finished(self, job: Job, completion: RecordPosition, now_ms: int) -> OutRecord:
        """What is remembered of an ended request."""
        record = FinishedRecord(job.request_id, job.digest, completion, now_ms)
        return OutRecord(self._topics.finished, job.partition, job.request_id.encode(), encode_finished(record))

    def fragments(self, job: Job, generation_id: str | None) -> FragmentEncoder:
        """The encoder of one attempt's fragments."""
        return FragmentEncoder(
            request_id=job.request_id,
            attempt=job.attempt,
            generation_id=generation_id,
            source=self.source,
            id_prefix=event_id(job.partition, job.offset, "fragment", job.attempt),
            traceparent=job.traceparent,
            tracestate=job.tracestate,
        )

    def fragment(self, job: Job, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> OutRecord:
        """An encoded fragment, addressed."""
        return OutRecord(self._topics.fragments, job.partition, output_key(job), value, headers)


def output_key(job: Job) -> bytes:
    """The request's key, or its id where it has none."""
    return job.key if job.key is not None else job.request_id.encode()
