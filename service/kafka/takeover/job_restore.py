"""Handing the live jobs of a partition to the engine, and setting aside those that can't be read."""

from __future__ import annotations

import structlog

from service.kafka.marker import PRIVATE_PREFIX
from service.kafka.partition.parked import ParkedJob, ParkedJobs
from service.kafka.ports import PartitionJobs, RecordLimits, UnreadableJob
from service.kafka.takeover.live_records import LiveRecords, LogRecord
from service.kafka.takeover.log_reader import log_unreadable
from service.kafka.takeover.quarantine import Quarantine, Unreadable, notes_among, quarantine
from service.settings import TopicSettings
from service.slices import Slices
from service.telemetry.events import LogEvent
from service.words import in_words

log = structlog.get_logger()


async def restore_jobs(
    live: LiveRecords,
    jobs: PartitionJobs,
    parked: ParkedJobs,
    *,
    topics: TopicSettings,
    partition: int,
    now_ms: int,
    limits: RecordLimits,
) -> Quarantine:
    """Give each job to `jobs`, or to `parked` if it was left in the log; returns what is to be written.

    `live` is emptied on the way, so that no record is in memory twice.
    """
    unreadable: list[Unreadable] = []
    notes = notes_among(record for record in live.by_key.values() if isinstance(record, LogRecord))
    slices = Slices()
    for key in list(live.by_key):
        record = live.take(key)
        if isinstance(record, ParkedJob):
            parked.park(record)
        elif not key.startswith(PRIVATE_PREFIX):
            try:
                jobs.restore(key, record.value)
            except Exception as error:  # noqa: BLE001 — whatever it was, it concerns this record alone
                reason = str(error) if isinstance(error, UnreadableJob) else in_words(error)
                unreadable.append(Unreadable(record, reason))
        await slices.turn()
    for item in unreadable:
        log.error(
            LogEvent.JOB_QUARANTINED,
            partition=partition,
            request_id=item.record.key.decode("utf-8", "replace"),
            offset=item.record.offset,
            reason=item.reason,
            todo="run the version that wrote it, or read docs/decisions/0002; it may be a paid task",
        )
    for gap in live.unreadable:
        log_unreadable(gap, "jobs whose last record was there are not known; they may be paid tasks")
    return quarantine(
        unreadable, live.unreadable, notes, topics=topics, partition=partition, now_ms=now_ms, limits=limits
    )
