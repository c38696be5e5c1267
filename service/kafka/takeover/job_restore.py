"""Handing the live jobs of a partition to the engine, and setting aside those that can't be read."""

from __future__ import annotations

import structlog

from service.kafka.marker import PRIVATE_PREFIX
from service.kafka.partition.parked import ParkedJob, ParkedJobs
from service.kafka.ports import PartitionJobs
from service.kafka.takeover.live_records import LiveRecords, LogRecord, Unreadable, unreadable
from service.kafka.takeover.quarantine import Quarantine, notes_among, quarantine
from service.slices import Slices
from service.telemetry.events import LogEvent

log = structlog.get_logger()


async def restore_jobs(
    live: LiveRecords, jobs: PartitionJobs, parked: ParkedJobs, *, topic: str, partition: int
) -> Quarantine:
    """Give each job to `jobs`, or to `parked` if it was left in the log; returns what can't be read.

    `live` is emptied on the way, so that no record is in memory twice. What can't be read stays in it, and counted,
    until the caller has written it and lets go of `live`.
    """
    set_aside: list[Unreadable] = []
    notes = notes_among(record for record in live.by_key.values() if isinstance(record, LogRecord))
    slices = Slices()
    for key in list(live.by_key):
        record = live.take(key)
        if isinstance(record, ParkedJob):
            parked.park(record)
        elif isinstance(record, Unreadable):
            set_aside.append(record)
        elif not key.startswith(PRIVATE_PREFIX):
            try:
                jobs.restore(key, record.value)
            except Exception as error:  # noqa: BLE001 — whatever it was, it concerns this record alone
                set_aside.append(unreadable(record, error, topic, partition))
                live.replace(key, set_aside[-1])
        await slices.turn()
    for item in set_aside:
        log.error(
            LogEvent.JOB_QUARANTINED,
            partition=partition,
            request_id=item.key.decode("utf-8", "replace"),
            offset=item.offset,
            reason=item.reason,
            todo="run the version that wrote it, or read docs/decisions/0002; it may be a paid task",
        )
    return quarantine(set_aside, live.gaps, notes)
