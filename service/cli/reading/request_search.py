"""Where a request is: among the live jobs, among the ended requests, or not read yet. And which jobs there are.

The requests topic is partitioned by whoever sends. Clients differ in how they choose a partition for a key, so nobody
can know from an id where it is: it is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from aiokafka import TopicPartition

from contracts.rejection import RejectedRecord
from contracts.requests import AnalyzeRequest, parse_request
from service.cli.reading.cluster import admin, coordinator_of, reachable
from service.cli.reading.topic_reader import TopicReader
from service.domain.job import Job, UnreadableJobRecord, decode_job
from service.kafka.logs.finished import decode_finished
from service.kafka.marker import PRIVATE_PREFIX
from service.kafka.ports import FinishedRecord, InRecord
from service.settings import Settings

State = Literal["live", "unread", "ended"]
"""`unread`: in the requests topic, and no process has accepted it yet."""


@dataclass(frozen=True, slots=True)
class Found:
    """A request in one partition."""

    state: State
    partition: int
    key: bytes | None
    job: Job | None = None
    ended: FinishedRecord | None = None
    offset: int | None = None
    """Of the request's record, where it is known."""


async def live_jobs(settings: Settings, request_id: str | None = None) -> list[Job]:
    """The jobs that have not ended, oldest first; with an id only those of that id. Unreadable records are left out."""
    values: dict[tuple[int, bytes], bytes | None] = {}
    wanted = None if request_id is None else request_id.encode()
    async with TopicReader(settings, [settings.topics.jobs], _as_it_is) as reader:
        ends = await reader.ends()
        reader.begin(await reader.beginnings())
        async for record in reader.until(ends):
            key = record.key
            if key is not None and not key.startswith(PRIVATE_PREFIX) and wanted in (None, key):
                values.pop((record.partition, key), None)
                if record.value is not None:
                    values[record.partition, key] = record.value
    jobs = []
    for value in values.values():
        try:
            jobs.append(decode_job(value or b""))
        except UnreadableJobRecord:
            continue
    return sorted(jobs, key=lambda job: (job.accepted_ms, job.partition, job.offset))


async def find_request(settings: Settings, request_id: str) -> list[Found]:
    """Everywhere the request is: live jobs first, then what is not read yet, then where it has ended."""
    found = await find_open(settings, request_id)
    open_in = {one.partition for one in found}
    return found + [one for one in await find_ended(settings, request_id) if one.partition not in open_in]


async def find_open(settings: Settings, request_id: str) -> list[Found]:
    """Where the request has not ended: live jobs first, then what is not read yet.

    What is not read yet is looked for first: a request that is accepted meanwhile is then among the jobs.
    """
    unread = await _unread(settings, request_id)
    jobs = await live_jobs(settings, request_id)
    found = [Found("live", job.partition, job.key, job=job, offset=job.offset) for job in jobs]
    live_in = {one.partition for one in found}
    return found + [one for one in unread if one.partition not in live_in]


async def _unread(settings: Settings, request_id: str) -> list[Found]:
    """Requests behind the group's offsets. Without an offset everything in the partition is unread."""
    topic = settings.topics.requests
    async with TopicReader(settings, [topic], _as_it_is) as reader:
        ends, begin = await reader.ends(), dict(await reader.beginnings())
        for where, offset in (await _committed(settings)).items():
            if where in begin:
                begin[where] = max(begin[where], offset)
        begin = {where: at for where, at in begin.items() if at < ends[where]}
        if not begin:
            return []
        reader.begin(begin)
        found: dict[int, Found] = {}
        async for record in reader.until({where: ends[where] for where in begin}):
            if _asks_for(record, request_id, settings.jobs.max_request_bytes):
                found[record.partition] = Found("unread", record.partition, record.key, offset=record.offset)
    return list(found.values())


def _asks_for(record: InRecord, request_id: str, max_bytes: int) -> bool:
    if record.value is None or request_id.encode() not in record.value:
        return False
    try:
        parsed = parse_request(record.value, record.headers, max_bytes=max_bytes, key=record.key)
    except RejectedRecord:
        return False
    return isinstance(parsed.request, AnalyzeRequest) and parsed.request.request_id == request_id


async def _committed(settings: Settings) -> Mapping[TopicPartition, int]:
    group = settings.kafka.group_id
    async with admin(settings) as client, reachable(settings):
        coordinator = await coordinator_of(client, group)
        offsets = await client.list_consumer_group_offsets(group, coordinator)
    topic = settings.topics.requests
    return {where: at.offset for where, at in offsets.items() if where.topic == topic and at.offset >= 0}


async def find_ended(settings: Settings, request_id: str) -> list[Found]:
    """Where the request has ended, within the dedup window. Reads the whole topic of ended requests."""
    wanted = request_id.encode()
    found: dict[int, Found] = {}
    async with TopicReader(settings, [settings.topics.finished], _as_it_is) as reader:
        ends = await reader.ends()
        reader.begin(await reader.beginnings())
        async for record in reader.until(ends):
            if record.key == wanted and record.value is not None:
                ended = decode_finished(record.value)
                offset = None if ended is None else ended.offset
                found[record.partition] = Found("ended", record.partition, None, ended=ended, offset=offset)
    return list(found.values())


def tenant_of(job: Job) -> str | None:
    """Whose request it is; None when it does not say."""
    value = _body(job).get("tenant")
    return value if isinstance(value, str) else None


def priority_of(job: Job) -> str:
    """Its priority."""
    return str(_body(job).get("priority") or "normal")


def request_of(job: Job) -> dict[str, Any]:
    """The request as it was sent, without the bytes of a video inside it."""
    body = _body(job)
    video = body.get("video")
    if isinstance(video, dict) and "base64_string" in video:
        body["video"] = video | {"base64_string": f"({len(str(video['base64_string']))} characters)"}
    return body


def _body(job: Job) -> dict[str, Any]:
    value = orjson.loads(job.body)
    return value if isinstance(value, dict) else {}


def _as_it_is(record: InRecord) -> InRecord:
    return record
