"""The contract's promises, checked against the records that an observer read and the counts of the emulator.

Written from the text of the contract. Nothing here uses what the service says about itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.events import parse_event
from contracts.topics import Role
from tests.harness.evidence import Evidence, Record, RecordPosition

_CE_HEADERS = ("content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time")
_EVENTS = frozenset({Role.FRAGMENTS, Role.COMPLETIONS, Role.PROGRESS})


def check_invariants(seen: Evidence, stats: Mapping[str, Any] | None = None, *, uploads_once: bool = True) -> list[str]:
    """Every broken promise, in words; an empty list if all were kept.

    Every request must have ended, and `seen` must hold every topic to its end. `stats`: the emulator's counts.
    """
    broken = [*_one_end_each(seen), *_fragments(seen), *_identities(seen), *_shapes(seen)]
    if stats is not None:
        broken.extend(_paid_once(stats))
        if uploads_once:
            broken.extend(_uploaded_once(stats))
    return broken


def request_in(record: Record) -> dict[str, Any]:
    """The request a record holds: bare JSON, or the data of a structured CloudEvent. Empty when it is none."""
    if record.content_type.startswith("application/cloudevents"):
        data = record.body.get("data")
        return data if isinstance(data, dict) else {}
    return record.body


def _one_end_each(seen: Evidence) -> Iterator[str]:
    """Promise 1: every analyze record ends in exactly one completion or one dead letter."""
    asked: dict[tuple[int, str], list[RecordPosition]] = defaultdict(list)
    for position, record in seen.requests.items():
        letters = seen.dead_letters.get(position, [])
        if len(letters) > 1:
            yield f"record {position} has {len(letters)} dead letters"
        if letters:
            yield from _same_bytes(record, letters[0])
            continue
        request = request_in(record)
        if request.get("type") == "cancel":
            continue
        if not request.get("request_id"):
            yield f"record {position} is no request and has no dead letter"
            continue
        asked[record.partition, str(request["request_id"])].append(position)
    ends: dict[tuple[int, str], list[Record]] = defaultdict(list)
    for records in seen.completions.values():
        for record in records:
            ends[record.partition, record.request_id].append(record)
    accepted = Counter(
        (record.partition, record.request_id)
        for records in seen.progress.values()
        for record in records
        if record.type == "accepted"
    )
    for job, positions in asked.items():
        copies = ends.pop(job, [])
        if not copies:
            yield f"{job} has no completion"
        if len(copies) > len(positions):
            yield f"{job} has {len(copies)} completions for {len(positions)} requests"
        if len({(copy.key, copy.value, copy.headers) for copy in copies}) > 1:
            yield f"{job} has completions that differ: {[copy.body for copy in copies]}"
        if accepted[job] != 1:
            yield f"{job} was accepted {accepted[job]} times"
        first = seen.requests[positions[0]]
        for copy in copies:
            if copy.key != (job[1].encode() if first.key is None else first.key):
                yield f"{job} has a completion under the key {copy.key!r}"
    for job in ends:
        yield f"{job} has a completion and was never asked for"


def _same_bytes(record: Record, letter: Record) -> Iterator[str]:
    if (letter.key, letter.value) != (record.key, record.value):
        yield f"the dead letter of {record.position} differs in key or value"
    if letter.headers[: len(record.headers)] != record.headers:
        yield f"the dead letter of {record.position} differs in its headers"


def _fragments(seen: Evidence) -> Iterator[str]:
    """Promise 4: gapless from 0 within an attempt; those of the completed one are its text."""
    logs: dict[tuple[int, str], list[Record]] = defaultdict(list)
    for records in seen.fragments.values():
        for record in records:
            logs[record.partition, record.request_id].append(record)
    whole: dict[tuple[int, str, int], list[Record]] = defaultdict(list)
    for (partition, name), log in logs.items():
        highest = 0
        for record in sorted(log, key=lambda record: record.offset):
            if record.attempt < highest:
                continue  # from a process that was frozen: the number is a fencing token
            highest = record.attempt
            whole[partition, name, record.attempt].append(record)
    for attempt, records in whole.items():
        sequences = [record.body["sequence"] for record in records]
        if sequences != list(range(len(records))):
            yield f"the fragments of {attempt} are numbered {sequences}"
    for completions in seen.completions.values():
        for record in completions:
            if record.type != "completed":
                continue
            body, attempt = record.body, (record.partition, record.request_id, record.attempt)
            parts = whole.get(attempt, [])
            if body["fragments"] != len(parts):
                yield f"{attempt} has {len(parts)} fragments and counts {body['fragments']}"
            if body["mode"] == "stream" and "".join(part.body["text"] for part in parts) != body["text"]:
                yield f"the fragments of {attempt} are not its text"
            if body["mode"] != "stream" and parts:
                yield f"{attempt} is no stream and has fragments"


def _identities(seen: Evidence) -> Iterator[str]:
    """Source and id tell events apart; only a completion may be there again, as it was."""
    known: dict[tuple[str, str], Record] = {}
    for record in seen.records:
        if record.role not in _EVENTS:
            continue
        name = record.header("ce_source"), record.header("ce_id")
        first = known.setdefault(name, record)
        if first is record:
            continue
        same = (first.key, first.value, first.headers) == (record.key, record.value, record.headers)
        if record.role is not Role.COMPLETIONS or first.role is not Role.COMPLETIONS or not same:
            yield f"two events are called {name}: {first.body} and {record.body}"


def _shapes(seen: Evidence) -> Iterator[str]:
    """Every event is what the contract says it is, and a CloudEvent in binary mode."""
    for record in seen.records:
        if record.role not in _EVENTS:
            continue
        missing = [name for name in _CE_HEADERS if not record.header(name)]
        if missing:
            yield f"{record.role} {record.position} lacks headers {missing}"
        if record.header("ce_type") != f"com.reelwire.video.analysis.{record.type}.v1":
            yield f"{record.role} {record.position} has ce_type {record.header('ce_type')}"
        if record.header("ce_subject") != record.request_id:
            yield f"{record.role} {record.position} has ce_subject {record.header('ce_subject')}"
        try:
            parse_event(record.value or b"")
        except ValueError as error:
            yield f"{record.role} {record.position} is no event: {error}"


def _paid_once(stats: Mapping[str, Any]) -> Iterator[str]:
    """Promise 2: no task is created twice for one attempt."""
    for label in ("by_custom_id", "by_idempotency_key"):
        for name, tasks in stats["tasks"][label].items():
            if len(tasks) > 1:
                yield f"{len(tasks)} tasks were created {label.replace('_', ' ')} {name}"


def _uploaded_once(stats: Mapping[str, Any]) -> Iterator[str]:
    """Promise 3: a video is uploaded once."""
    for digest, assets in stats["assets"]["by_sha256"].items():
        if len(assets) > 1:
            yield f"video {digest[:12]} was uploaded {len(assets)} times"
