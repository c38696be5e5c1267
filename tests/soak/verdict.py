"""The verdict on a soak, beyond the promises that hold for every run: each request ended in an allowed way, and was
paid for no more often than its attempts say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from contracts.topics import Role
from tests.harness.evidence import Evidence, Record, RecordPosition
from tests.soak.scenario import Planned, Scenario

_BEGUN = frozenset({"uploading", "asset_ready", "stream_started", "task_created"})
_AFTERWARDS_SECONDS = 10.0
_UNDER_WAY_SECONDS = 1.0
Freezes = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Sent:
    """A planned record and its position in the requests topic."""

    planned: Planned
    position: RecordPosition


def ended(seen: Evidence, scenario: Scenario, sent: Sequence[Sent], *, at_least_once: bool = False) -> Iterator[str]:
    """Each request ended as it may, each record that is none is a dead letter with its code, each repeat was told.

    With `at_least_once` a record may be read again after a crash, and is then told as a repeat of itself.
    """
    for name, ends in scenario.ends().items():
        completions = seen.completions.get(name)
        if completions and (end := _end(completions[0].body)) not in ends:
            yield f"{name} ended as {end}, not as one of {sorted(ends)}: {completions[0].body}"
    for item in sent:
        letters = seen.dead_letters.get(item.position, [])
        codes = {f"dead:{letter.header('dlq.error.code')}" for letter in letters}
        if item.planned.kind == "invalid" and codes != item.planned.ends:
            yield f"record {item.position} has dead letters {codes}, not {set(item.planned.ends)}"
        if item.planned.kind != "invalid" and letters:
            yield f"record {item.position} is a good {item.planned.kind} and has dead letters {codes}"
    repeats = scenario.repeats()
    for name in scenario.ends():
        told = len(seen.events(name, "duplicate"))
        expected = repeats.get(name, 0)
        if told < expected or (told > expected and not at_least_once):
            yield f"{name} was repeated {repeats.get(name, 0)} times, and {told} were told"
    for name, completions in seen.completions.items():
        body = completions[0].body
        if body["type"] == "completed" and body["data_error"]:
            yield f"{name} has no data: {body['data_error']}"


def every_attempt_gapless(seen: Evidence) -> Iterator[str]:
    """Also of attempts that were cut off, and of those a frozen process went on with."""
    for (name, attempt), records in seen.fragments.items():
        numbers = [record.body["sequence"] for record in sorted(records, key=lambda record: record.offset)]
        if numbers != list(range(len(numbers))):
            yield f"fragments of {name}, attempt {attempt}, are numbered {numbers}"


def late_fragments(seen: Evidence) -> list[Record]:
    """Fragments of a lower attempt than one that is before them in the log."""
    logs: dict[str, list[Record]] = defaultdict(list)
    for (name, _), records in seen.fragments.items():
        logs[name].extend(records)
    late = []
    for records in logs.values():
        highest = 0
        for record in sorted(records, key=lambda record: record.offset):
            if record.attempt < highest:
                late.append(record)
            highest = max(highest, record.attempt)
    return late


def unexplained_late_fragments(late: Sequence[Record], freezes: Freezes) -> Iterator[str]:
    """A late fragment needs a process that was frozen just before, or an outage of the broker."""
    for record in late:
        if not _after_a_freeze(record.timestamp_ms / 1000, freezes):
            yield f"a fragment of {record.request_id}, attempt {record.attempt}, came late and nothing was frozen"


def same_fragments(committed: Evidence, uncommitted: Evidence) -> Iterator[str]:
    """Fragments are outside any transaction: both kinds of readers have the same."""
    one, other = ({r.position for r in seen.records if r.role is Role.FRAGMENTS} for seen in (committed, uncommitted))
    if one != other:
        yield f"{len(one ^ other)} fragments are seen at one isolation level only: {sorted(one ^ other)[:5]}"


def paid(seen: Evidence, stats: Mapping[str, Any]) -> Iterator[str]:
    """No more analyses begun on the platform than attempts, and every task is one that was told."""
    begun = Counter(
        entry["prompt"].split()[0]
        for entry in stats["posts"]
        if entry["operation"] in ("analyze_stream", "analyze_sync") and entry.get("generation_id")
    )
    for name, count in begun.items():
        completions = seen.completions.get(name)
        attempts = completions[0].attempt if completions else 0
        if count > attempts:
            yield f"{name} was analysed {count} times in {attempts} attempts"
    made = {task for tasks in stats["tasks"]["by_custom_id"].values() for task in tasks}
    for name, completions in seen.completions.items():
        task = completions[0].body.get("task_id")
        if task is not None and task not in made:
            yield f"{name} ended with task {task}, which the platform never made"


def never_cut(seen: Evidence, stats: Mapping[str, Any]) -> Iterator[str]:
    """Promise 6, where all moves are orderly and shorter than the drain: nothing is cut off, or begun twice."""
    for name in seen.completions:
        for event in seen.events(name, "interrupted"):
            yield f"{name} was cut off in attempt {event['attempt']}, and all moves were orderly"
    begun = Counter(entry["prompt"].split()[0] for entry in stats["posts"] if entry.get("generation_id"))
    for name, count in begun.items():
        if count > 1:
            yield f"{name} was analysed {count} times, and all moves were orderly"


def in_order(seen: Evidence) -> Iterator[str]:
    """Promise 5, where it is asked for: of one key, none is begun before the one under way has ended."""
    runs: dict[tuple[int, bytes], list[tuple[float, float, str]]] = defaultdict(list)
    keyed = {(record.partition, str(record.body.get("request_id"))) for record in seen.requests.values() if record.key}
    for name, completions in seen.completions.items():
        end = completions[0]
        begun = [_seconds(event["time"]) for event in seen.events(name) if event["type"] in _BEGUN]
        if begun and (end.partition, name) in keyed:
            runs[end.partition, end.key or b""].append((min(begun), _seconds(end.body["time"]), name))
    for (_, key), spans in runs.items():
        spans.sort()
        for (_, ended_at, before), (begun_at, _, after) in pairwise(spans):
            if begun_at < ended_at:
                yield f"{after} was begun {ended_at - begun_at:.3f} s before {before} of the same key {key!r} had ended"


def uploads(stats: Mapping[str, Any], freezes: Freezes) -> tuple[int, list[str]]:
    """How many videos were uploaded twice as the contract allows it (a race after a freeze), and what it does not."""
    times = {entry["asset_id"]: _seconds(entry["time"]) for entry in stats["posts"] if entry.get("asset_id")}
    raced, broken = 0, []
    for digest, assets in stats["assets"]["by_sha256"].items():
        if len(assets) == 1:
            continue
        second = times[assets[1]]
        if len(assets) == 2 and _after_a_freeze(second, freezes):
            raced += 1
        else:
            broken.append(f"video {digest[:12]} was uploaded {len(assets)} times, {assets}")
    return raced, broken


def _end(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    return f"failed:{error['code']}" if error else str(body["type"])


def _after_a_freeze(seconds: float, freezes: Freezes) -> bool:
    """Or just before it: what was made then may have been on its way, and arrives when the process is thawed."""
    return any(since - _UNDER_WAY_SECONDS <= seconds <= until + _AFTERWARDS_SECONDS for since, until in freezes)


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
