"""What a rerun needs to know: how requests have ended, and where their records are in the requests topic.

The requests topic is the truth about what was asked for again: a run that is in it is never sent a second time.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from aiokafka import TopicPartition

from contracts.envelope import unwrap
from contracts.instants import parse_rfc3339
from contracts.rejection import RejectedRecord
from contracts.requests import AnalyzeRequest, parse_request
from contracts.topics import Role
from service.cli.reading.event_reader import event_reader
from service.cli.reading.output_record import OutputRecord
from service.cli.reading.topic_reader import TopicReader
from service.kafka.ports import InRecord
from service.settings import Settings

Place = tuple[int, str]
"""Partition and request id: the identity of a job, but for its run."""

_SKEW_SECONDS = 60.0
"""By which the clocks of services, producers and brokers may differ."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of the last run of a request: the type of its completion, and the code of a failure."""

    type: str
    run: int
    seconds: float
    code: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """The record with the highest run of a request. `timestamp_ms` is the record's own."""

    offset: int
    run: int
    timestamp_ms: int
    deadline: float | None


Skip = Literal["request_gone", "sent_already", "deadline_past"]
SKIPPED: Mapping[Skip, str] = {
    "request_gone": "the request is no longer in the requests topic",
    "sent_already": "a higher run was sent already",
    "deadline_past": "the deadline has passed; --without-deadline takes it out",
}


@dataclass(frozen=True, slots=True)
class Rerun:
    """A request to send again: the place of its record, and the run that it gets."""

    request_id: str
    partition: int
    offset: int
    run: int
    code: str | None = None


async def last_ends(settings: Settings, since: float, before: float) -> dict[Place, End]:
    """How the last run of each request ended that ended in this time (seconds since the epoch)."""
    ends: dict[Place, End] = {}
    async with event_reader(settings, [Role.COMPLETIONS]) as reader:
        until = await reader.ends()
        reader.begin(await reader.since(max(0.0, since - _SKEW_SECONDS)))
        async for event in reader.until(until):
            end = _end_of(event)
            if end is None or event.request_id is None or not since <= end.seconds < before:
                continue
            place = (event.partition, event.request_id)
            known = ends.get(place)
            if known is None or known.run < end.run:
                ends[place] = end
    return ends


def _end_of(event: OutputRecord) -> End | None:
    """A completion that was published again for a duplicate has the time of the first."""
    try:
        seconds = parse_rfc3339(str(event.body.get("time"))).timestamp()
    except ValueError:
        return None
    run, error = event.body.get("run"), event.body.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return End(event.type, run if isinstance(run, int) else 1, seconds, code)


async def sent_requests(settings: Settings, wanted: Callable[[int, str], bool]) -> dict[Place, Sent]:
    """The last records of the requests that are wanted. Reads the whole requests topic."""
    found: dict[Place, Sent] = {}
    async with TopicReader(settings, [settings.topics.requests], _as_it_is) as reader:
        ends = await reader.ends()
        reader.begin(await reader.beginnings())
        async for record in reader.until(ends):
            request_id = _id_of(record)
            if request_id is not None and not wanted(record.partition, request_id):
                continue
            request = _request_of(record, settings)
            if request is None or not wanted(record.partition, request.request_id):
                continue
            place = (record.partition, request.request_id)
            known = found.get(place)
            if known is None or known.run <= request.run:
                deadline = request.deadline_at
                found[place] = Sent(
                    record.offset,
                    request.run,
                    record.timestamp_ms,
                    None if deadline is None else deadline.timestamp(),
                )
    return found


def _id_of(record: InRecord) -> str | None:
    """The id of a request in plain JSON, without checking it; None when the whole record must be looked at."""
    try:
        members = orjson.loads(record.value or b"null")
    except ValueError:
        return None
    request_id = members.get("request_id") if isinstance(members, dict) else None
    return request_id if isinstance(request_id, str) else None


def _request_of(record: InRecord, settings: Settings) -> AnalyzeRequest | None:
    limit = settings.jobs.max_request_bytes
    try:
        parsed = parse_request(record.value, record.headers, max_bytes=limit, key=record.key)
    except RejectedRecord:
        return None
    return parsed.request if isinstance(parsed.request, AnalyzeRequest) else None


def plan(
    ends: Mapping[Place, End], sent: Mapping[Place, Sent], now: float, *, keep_deadline: bool
) -> list[Rerun | tuple[str, Skip]]:
    """What is to be sent for these ends, in the order in which they came; or why nothing is. Pure.

    A higher run that was sent before the end was a duplicate, and counts for nothing but its number.
    """
    planned: list[Rerun | tuple[str, Skip]] = []
    for (partition, request_id), end in sorted(ends.items(), key=lambda item: item[1].seconds):
        last = sent.get((partition, request_id))
        if last is None:
            planned.append((request_id, "request_gone"))
        elif last.run > end.run and last.timestamp_ms / 1000 >= end.seconds - _SKEW_SECONDS:
            planned.append((request_id, "sent_already"))
        elif keep_deadline and last.deadline is not None and last.deadline <= now:
            planned.append((request_id, "deadline_past"))
        else:
            run = max(last.run, end.run) + 1
            planned.append(Rerun(request_id, partition, last.offset, run, end.code))
    return planned


async def originals(settings: Settings, reruns: list[Rerun]) -> AsyncIterator[tuple[Rerun, InRecord]]:
    """The records of these reruns, in the order of the requests topic. Those that are gone meanwhile are left out."""
    topic = settings.topics.requests
    by_place = {(rerun.partition, rerun.offset): rerun for rerun in reruns}
    first: dict[TopicPartition, int] = {}
    last: dict[TopicPartition, int] = {}
    for rerun in reruns:
        where = TopicPartition(topic, rerun.partition)
        first[where] = min(first.get(where, rerun.offset), rerun.offset)
        last[where] = max(last.get(where, 0), rerun.offset + 1)
    async with TopicReader(settings, [topic], _as_it_is) as reader:
        reader.begin(first)
        async for record in reader.until(last):
            found = by_place.pop((record.partition, record.offset), None)
            if found is not None:
                yield found, record


def value_for(record: InRecord, run: int, *, keep_deadline: bool) -> bytes:
    """The record's value with another `run`; nothing else is changed, whatever envelope it is in."""
    # Python's own reader keeps integers of any size, as they may be in metadata.
    document: dict[str, Any] = json.loads((record.value or b"").decode("utf-8-sig"))
    data, attributes = unwrap(record.value, record.headers)
    if not attributes:
        return _dumped(_changed(document, run, keep_deadline=keep_deadline))
    inside = document.get("data")
    if not isinstance(inside, dict):  # in base64
        inside = data
        document.pop("data_base64", None)
    return _dumped(document | {"data": _changed(inside, run, keep_deadline=keep_deadline)})


def _changed(members: dict[str, Any], run: int, *, keep_deadline: bool) -> dict[str, Any]:
    kept = {name: value for name, value in members.items() if keep_deadline or name != "deadline"}
    return kept | {"run": run}


def _dumped(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _as_it_is(record: InRecord) -> InRecord:
    return record
