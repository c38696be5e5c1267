"""Records read from a system's topics, sorted: completions by request, fragments by attempt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from contracts.deadletters import OFFSET, PARTITION, TOPIC
from contracts.topics import Role

Header = tuple[str, bytes | None]
RecordPosition = tuple[int, int]
"""Partition and offset of a record in the requests topic."""


@dataclass(frozen=True)
class Record:
    """One record, byte for byte."""

    role: Role
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]

    @property
    def position(self) -> RecordPosition:
        return self.partition, self.offset

    @cached_property
    def body(self) -> dict[str, Any]:
        """The value as a JSON object; empty when it is none."""
        try:
            body = orjson.loads(self.value or b"")
        except orjson.JSONDecodeError:
            return {}
        return body if isinstance(body, dict) else {}

    def header(self, name: str) -> str:
        """The last header of this name as text; empty when there is none."""
        for known, value in reversed(self.headers):
            if known == name and value is not None:
                return value.decode("utf-8", "replace")
        return ""

    @property
    def content_type(self) -> str:
        """The content type in small letters, whatever the spelling of the header's name."""
        found = [value for name, value in self.headers if name.lower() == "content-type" and value is not None]
        return found[-1].decode("utf-8", "replace").strip().lower() if found else ""

    @property
    def type(self) -> str:
        return str(self.body.get("type", ""))

    @property
    def request_id(self) -> str:
        return str(self.body.get("request_id", ""))

    @property
    def attempt(self) -> int:
        return int(self.body.get("attempt", 0))


def first_of_each(seen: Evidence, requests_topic: str) -> Evidence:
    """What a reader keeps that does as the contract says: the first record of each `ce_source` and `ce_id`.

    Of dead letters, which have no id, the first for each original. Fragments and progress have ids too.
    """
    kept = Evidence()
    known: set[tuple[str, ...]] = set()
    for record in seen.records:
        if record.role is Role.DEAD_LETTERS:
            name = ("dead letter", *(record.header(header) for header in (TOPIC, PARTITION, OFFSET)))
        else:
            name = (record.header("ce_source"), record.header("ce_id"))
        if record.role is Role.REQUESTS or name not in known:
            known.add(name)
            kept.take(record, requests_topic=requests_topic)
    return kept


class Evidence:
    """Records in the order in which they were read; within a partition that is the order of the log."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.requests: dict[RecordPosition, Record] = {}
        self.completions: dict[str, list[Record]] = defaultdict(list)
        self.fragments: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.progress: dict[str, list[Record]] = defaultdict(list)
        self.dead_letters: dict[RecordPosition, list[Record]] = defaultdict(list)
        """By partition and offset of the original in the requests topic."""
        self.other_dead_letters: list[Record] = []
        """Dead letters of other topics than the requests topic."""

    def take(self, record: Record, *, requests_topic: str) -> None:
        """Add one record."""
        self.records.append(record)
        match record.role:
            case Role.REQUESTS:
                self.requests[record.position] = record
            case Role.COMPLETIONS:
                self.completions[record.request_id].append(record)
            case Role.FRAGMENTS:
                self.fragments[record.request_id, record.attempt].append(record)
            case Role.PROGRESS:
                self.progress[record.request_id].append(record)
            case Role.DEAD_LETTERS if record.header(TOPIC) == requests_topic:
                position = int(record.header(PARTITION)), int(record.header(OFFSET))
                self.dead_letters[position].append(record)
            case _:
                self.other_dead_letters.append(record)

    def completion(self, request_id: str) -> dict[str, Any] | None:
        """The completion of a request; None if there is none yet."""
        found = self.completions.get(request_id)
        return found[0].body if found else None

    def ended(self, request_ids: Iterable[str]) -> bool:
        """Whether every one of these has its completion."""
        return all(self.completions.get(request_id) for request_id in request_ids)

    def events(self, request_id: str, kind: str | None = None) -> list[dict[str, Any]]:
        """Progress of a request, in order; of one type if it is given."""
        return [record.body for record in self.progress.get(request_id, ()) if kind in {None, record.type}]

    def text(self, request_id: str, attempt: int) -> str:
        """The fragments of one attempt, joined."""
        return "".join(record.body["text"] for record in self.fragments.get((request_id, attempt), ()))

    def attempts(self, request_id: str) -> list[int]:
        """Attempts that have fragments."""
        return sorted(attempt for known, attempt in self.fragments if known == request_id)
