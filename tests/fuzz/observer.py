"""What came out of a fuzz run: dead letters, completions and progress, read by hand as a committed reader sees them."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from contracts.topics import Role
from service.settings import Settings
from tests.fuzz.batch import ABORT, StoredBatch, StoredRecord, decode_batches
from tests.fuzz.case import Digest, digest_of, without_dead_letter_headers
from tests.fuzz.sender import Position, leaders_of
from tests.fuzz.wire import Connection, Fetched

Job = tuple[int, str]
"""Partition and request id."""

_ROLES = (Role.DEAD_LETTERS, Role.COMPLETIONS, Role.PROGRESS)
_WAIT_MS = 100
_MAX_BYTES = 4 * 1024 * 1024
_ERRORS_TOLERATED = 50


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, without its bytes."""

    digest: Digest
    code: str
    message: str
    without_value: bool
    """It says that its value was left out, since it fits no record."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A completion, without its text."""

    digest: Digest
    end: str
    """`completed`, `canceled`, `failed:<code>`."""
    message: str


@dataclass(slots=True)
class Observed:
    """All that was read, by the place of the original or by the job."""

    letters: dict[Position, list[Letter]] = field(default_factory=lambda: defaultdict(list))
    completions: dict[Job, list[Completion]] = field(default_factory=lambda: defaultdict(list))
    progress: dict[Job, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unreadable: list[str] = field(default_factory=list)
    count: int = 0


class FuzzObserver(threading.Thread):
    """Reads until `stop`. `caught_up` tells whether everything there was has been read."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="fuzz-observer", daemon=True)
        self.seen = Observed()
        self.error: Exception | None = None
        self.rounds = 0
        """How often every topic was read to its end, counted by the thread."""
        self._requests_topic = settings.topics.requests
        self._readers = [
            _TopicReader(settings.kafka.bootstrap_servers, getattr(settings.topics, role), role) for role in _ROLES
        ]
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.look()
        except Exception as error:  # noqa: BLE001 - told by whoever waits for this thread
            self.error = error

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)

    def look(self) -> None:
        """Read once what is there of every topic."""
        at_end = True
        for reader in self._readers:
            for partition, record in reader.read():
                self._take(reader.role, partition, record)
            at_end = at_end and reader.at_end
        self.rounds += at_end

    def _take(self, role: Role, partition: int, record: StoredRecord) -> None:
        self.seen.count += 1
        if role is Role.DEAD_LETTERS:
            self._take_letter(record)
            return
        try:
            body: dict[str, Any] = orjson.loads(record.value or b"")
            job = partition, str(body["request_id"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            self.seen.unreadable.append(f"{role} {partition}/{record.offset}: {error}")
            return
        if role is Role.PROGRESS:
            self.seen.progress[job][str(body.get("type"))] += 1
        else:
            digest = digest_of(record.key, record.value, record.headers)
            self.seen.completions[job].append(Completion(digest, _end(body), _message(body)))

    def _take_letter(self, record: StoredRecord) -> None:
        original = without_dead_letter_headers(record.headers)
        ours = {name: value or b"" for name, value in record.headers if name.startswith(b"dlq.")}
        if ours.get(b"dlq.original.topic") != self._requests_topic.encode():
            self.seen.unreadable.append(f"a dead letter of {ours.get(b'dlq.original.topic')!r}")
            return
        letter = Letter(
            digest_of(record.key, record.value, original),
            ours.get(b"dlq.error.code", b"").decode(),
            ours.get(b"dlq.error.message", b"").decode("utf-8", "replace")[:400],
            b"dlq.value.sha256" in ours,
        )
        place = int(ours[b"dlq.original.partition"]), int(ours[b"dlq.original.offset"])
        self.seen.letters[place].append(letter)


class _TopicReader:
    """Reads one topic of one cluster, aborted transactions left out."""

    def __init__(self, bootstrap_servers: str, topic: str, role: Role) -> None:
        self.role = role
        self.at_end = False
        self._topic = topic
        self._offsets: dict[int, int] = {}
        self._by_leader: dict[str, list[int]] = defaultdict(list)
        for partition, address in leaders_of(bootstrap_servers, topic).items():
            self._by_leader[address].append(partition)
            self._offsets[partition] = 0
        self._connections = {address: Connection(address) for address in self._by_leader}
        self._errors = 0

    def read(self) -> Iterator[tuple[int, StoredRecord]]:
        """Partition and record, of one fetch from each leader."""
        self.at_end = True
        for address, partitions in self._by_leader.items():
            wanted = {partition: self._offsets[partition] for partition in partitions}
            answers = self._connections[address].fetch(self._topic, wanted, wait_ms=_WAIT_MS, max_bytes=_MAX_BYTES)
            for answer in answers:
                yield from self._of_partition(answer)

    def _of_partition(self, answer: Fetched) -> Iterator[tuple[int, StoredRecord]]:
        if answer.error:
            self._errors += 1
            self.at_end = False
            if self._errors > _ERRORS_TOLERATED:
                raise ConnectionError(f"{self._topic} can't be read: error {answer.error}")
            return
        start = self._offsets[answer.partition]
        for batch in _committed(answer):
            for record in batch.records():
                if record.offset >= start:
                    yield answer.partition, record
        for batch in decode_batches(answer.data):
            self._offsets[answer.partition] = batch.last_offset + 1
        self.at_end = self.at_end and self._offsets[answer.partition] >= answer.stable_offset


def _committed(answer: Fetched) -> Iterator[StoredBatch]:
    """The batches that a committed reader sees: without markers and without aborted transactions."""
    waiting = sorted(answer.aborted, key=lambda aborted: aborted[1], reverse=True)
    aborted: set[int] = set()
    for batch in decode_batches(answer.data):
        while waiting and waiting[-1][1] <= batch.last_offset:
            aborted.add(waiting.pop()[0])
        if batch.is_control:
            marker = next(batch.records())
            if int.from_bytes((marker.key or bytes(4))[2:4], "big") == ABORT:
                aborted.discard(batch.producer_id)
        elif not (batch.is_transactional and batch.producer_id in aborted):
            yield batch


def _end(body: dict[str, Any]) -> str:
    error = body.get("error")
    return f"failed:{error.get('code')}" if isinstance(error, dict) else str(body.get("type"))


def _message(body: dict[str, Any]) -> str:
    with suppress(KeyError, TypeError):
        return str(body["error"]["message"])[:300]
    return ""
