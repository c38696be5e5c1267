"""From the domain's values to records: topics, keys, headers and ids are decided here. Nothing is kept of a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.cloudevents import encode
from contracts.events import (
    Accepted,
    AssetReady,
    Canceled,
    Completed,
    Failed,
    HandedOver,
    Interrupted,
    Retrying,
    StreamStarted,
    TaskCreated,
    TaskStatus,
    Uploading,
    Waiting,
)
from contracts.fragments import FragmentEncoder
from contracts.requests import AnalyzeRequest
from service.clock import rfc3339
from service.domain.change import Event
from service.domain.identity import event_id, event_source
from service.domain.job import Job, encode_job
from service.kafka.ports import OutRecord
from service.settings import TopicSettings
from service.telemetry.known_secrets import secrets_of_url
from service.telemetry.redaction import clean_members

_COMPLETIONS: dict[str, type[Completed | Failed | Canceled]] = {
    "completed": Completed,
    "failed": Failed,
    "canceled": Canceled,
}
_PROGRESS: dict[
    str,
    type[
        Accepted
        | Uploading
        | AssetReady
        | StreamStarted
        | TaskCreated
        | TaskStatus
        | Retrying
        | Waiting
        | HandedOver
        | Interrupted
    ],
] = {
    "accepted": Accepted,
    "uploading": Uploading,
    "asset_ready": AssetReady,
    "stream_started": StreamStarted,
    "task_created": TaskCreated,
    "task_status": TaskStatus,
    "retrying": Retrying,
    "waiting": Waiting,
    "handed_over": HandedOver,
    "interrupted": Interrupted,
}

_RESULT = frozenset(
    {"text", "data", "timeline"}
)  # published as generated; every other text may quote a library or a server


class RecordBuilder:
    """Makes the records of jobs and events. One per process."""

    def __init__(self, topics: TopicSettings) -> None:
        self._topics = topics
        self.source = event_source(topics.requests)

    def event(
        self, job: Job, event: Event, request: AnalyzeRequest, seconds: float, *, bare: bool = False
    ) -> OutRecord:
        """An event of a job at `seconds` since the epoch. `bare`: without what the request gave it, key and metadata.

        Half characters in its strings are replaced. Raises `ValueError` or `TypeError` for members that the event's
        model does not take. All completions of a job have the same id: consumers keep the first.
        """
        completion = event.type in _COMPLETIONS
        attempt = event.attempt or job.event_attempt
        if completion:
            identifier = event_id(job.partition, job.offset, "completion")
        else:
            identifier = event_id(job.partition, job.offset, event.type, attempt, *event.id_parts)
        common = {
            "request_id": job.request_id,
            "run": job.run,
            "attempt": attempt,
            "time": rfc3339(seconds),
            "metadata": None if bare else request.metadata,
            "tenant": request.tenant,
        }
        urls = request.urls
        also = secrets_of_url(*urls) if urls else None
        cleaned = {
            name: value if name in _RESULT else clean_members(value, also) for name, value in event.members.items()
        }
        try:
            value, headers = self._encoded(job, event.type, common | cleaned, identifier)
        except (ValueError, TypeError):
            members = well_formed(cleaned)
            value, headers = self._encoded(job, event.type, common | members, well_formed(identifier))
        topic = self._topics.completions if completion else self._topics.progress
        key = job.request_id.encode() if bare else output_key(job)
        return OutRecord(topic, job.partition, key, value, headers)

    def _encoded(
        self, job: Job, kind: str, members: Mapping[str, Any], identifier: str
    ) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
        model = (_COMPLETIONS.get(kind) or _PROGRESS[kind]).model_validate(members)
        return encode(
            model,
            source=self.source,
            event_id=identifier,
            traceparent=job.traceparent,
            tracestate=job.tracestate,
        )

    def job(self, job: Job) -> OutRecord:
        """The job's durable state."""
        return OutRecord(self._topics.jobs, job.partition, job.request_id.encode(), encode_job(job))

    def tombstone(self, job: Job) -> OutRecord:
        """The job is no longer live."""
        return OutRecord(self._topics.jobs, job.partition, job.request_id.encode(), None)

    def fragments(self, job: Job, generation_id: str | None) -> FragmentEncoder:
        """The encoder of one attempt's fragments."""
        return FragmentEncoder(
            request_id=job.request_id,
            attempt=job.attempt,
            generation_id=well_formed(generation_id),
            source=self.source,
            id_prefix=event_id(job.partition, job.offset, "fragment", job.attempt),
            traceparent=job.traceparent,
            tracestate=job.tracestate,
            run=job.run,
        )

    def fragment(self, job: Job, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> OutRecord:
        """An encoded fragment, addressed."""
        return OutRecord(self._topics.fragments, job.partition, output_key(job), value, headers)


def output_key(job: Job) -> bytes:
    """The request's key, or its id where it has none."""
    return job.key if job.key is not None else job.request_id.encode()


def well_formed(value: Any) -> Any:
    """`value` with U+FFFD for every half character (lone surrogate) of its strings, which UTF-8 can't hold."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, Mapping):
        return {well_formed(name): well_formed(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [well_formed(member) for member in value]
    return value
