"""Records that their topics take. An event that is too large or can't be written is cut down, so a job always ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import structlog

from service.domain.change import Event
from service.domain.job import Job
from service.domain.own_errors import internal_error
from service.domain.smaller import smaller_completions, smaller_progress
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob
    from service.kafka.ports import OutRecord

log = structlog.get_logger()


def completion_record(
    live: LiveJob, job: Job, completion: Event, context: Context, *, below_bytes: int | None = None
) -> tuple[Event, OutRecord]:
    """The completion to publish, and its record. `below_bytes`: it was refused at this size, so it must be smaller.

    The last resort has neither the request's key nor its metadata: about 600 bytes.
    """
    limits = context.limits
    topic_bytes = limits.of(context.settings.topics.completions)
    found: tuple[Event, OutRecord] | None = None
    for event, bare in _completions(job, completion):
        if len(event.members.get("text") or "") > topic_bytes:
            continue  # encoding it would only take time
        try:
            record = context.records.event(job, event, live.request, context.clock.time(), bare=bare)
        except (ValueError, TypeError) as error:
            log.error(LogEvent.EVENT_NOT_WRITTEN, request_id=job.request_id, type=event.type, exc_info=error)
            continue
        found = event, record
        if limits.fits(record) and (below_bytes is None or limits.size(record) < below_bytes):
            break
    if found is None:
        raise ValueError("no completion of this job can be written")
    return found


def _completions(job: Job, completion: Event) -> Iterator[tuple[Event, bool]]:
    """What to try in turn; with True, without what the request gave. A result is given up last."""
    yield completion, False  # nearly always taken, so the others are not made before
    forms = [completion, *smaller_completions(completion)]
    same = [form for form in forms if form.type == completion.type]
    for kept in (same, forms[len(same) :]):
        for bare in (False, True):
            for form in kept:
                if bare or form is not completion:
                    yield form, bare
    unwritable = internal_error(job, f"the {completion.type} event of this request can't be written").completion
    if unwritable is not None:
        yield unwritable, True


def progress_record(live: LiveJob, job: Job, event: Event, context: Context) -> OutRecord | None:
    """The record of a progress event. None when no form of it can be written; nothing depends on it."""
    for form, bare in _progress(event):
        try:
            record = context.records.event(job, form, live.request, context.clock.time(), bare=bare)
        except (ValueError, TypeError) as error:
            log.error(LogEvent.EVENT_NOT_WRITTEN, request_id=job.request_id, type=event.type, exc_info=error)
            return None
        if context.limits.fits(record):
            return record
    log.warning(LogEvent.EVENT_NOT_WRITTEN, request_id=job.request_id, type=event.type, reason="too large")
    return None


def _progress(event: Event) -> Iterator[tuple[Event, bool]]:
    yield event, False
    last = event
    for smaller in smaller_progress(event):
        last = smaller
        yield smaller, False
    yield last, True
