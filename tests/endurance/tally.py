"""What the topics tell while they are read along: retention takes records away long before the day ends.

Keeps a few numbers for each request, never a record.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import confluent_kafka
import orjson

from service.settings import Settings

_BATCH = 2000
_POLL_SECONDS = 0.1


@dataclass(slots=True)
class Told:
    """What was told of one request."""

    accepted: int = 0
    completions: int = 0
    ended: str = ""
    attempt: int = 0
    interrupted: int = 0
    duplicates: int = 0
    gaps: int = 0
    """Fragments whose number was not the next one of their attempt."""
    next_of: dict[int, int] | None = None
    """For each attempt the number that its next fragment has."""


class Tally:
    """Reads completions, progress, fragments and dead letters as a committed reader, from their beginning on."""

    def __init__(self, settings: Settings) -> None:
        topics = settings.topics
        self.requests: dict[str, Told] = {}
        self.dead_letters = 0
        self.fragments = 0
        self._completions, self._fragments, self._letters = topics.completions, topics.fragments, topics.dead_letters
        names = (topics.completions, topics.fragments, topics.progress, topics.dead_letters)
        self._assigned = [
            confluent_kafka.TopicPartition(name, number, 0) for name in names for number in range(topics.partitions)
        ]
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "group.id": f"tally-{uuid.uuid4().hex}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 200,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )

    async def follow(self) -> None:
        """Read until cancelled."""
        while True:
            await asyncio.to_thread(self._read)

    def missing(self, sent: Mapping[str, int]) -> list[str]:
        """Ids of these requests that have no completion yet."""
        return [name for name in sent if name not in self.requests or not self.requests[name].completions]

    def broken(self, sent: Mapping[str, int], invalid: int) -> list[str]:
        """Promises that were not kept, in words. `sent`: how often each id was sent; `invalid`: what is no request."""
        found = [f"{name} has no completion" for name in self.missing(sent)]
        for name, times in sent.items():
            told = self.requests.get(name, Told())
            if told.completions > times:
                found.append(f"{name} has {told.completions} completions for {times} records")
            if told.accepted != 1:
                found.append(f"{name} was accepted {told.accepted} times")
            if told.duplicates != times - 1:
                found.append(f"{name} was repeated {times - 1} times, and {told.duplicates} were told")
            if told.gaps:
                found.append(f"{name} has {told.gaps} fragments out of order")
        if self.dead_letters != invalid:
            found.append(f"{self.dead_letters} dead letters for {invalid} records that are no requests")
        return found

    def ends(self) -> Counter[str]:
        """How requests ended: completed, canceled, or failed with its code."""
        return Counter(told.ended for told in self.requests.values() if told.ended)

    def _read(self) -> None:
        for message in self._consumer.consume(_BATCH, _POLL_SECONDS):
            if message.error() is None:
                self._take(message.topic(), message.value())
            elif message.error().fatal():
                raise confluent_kafka.KafkaException(message.error())

    def _take(self, topic: str, value: bytes) -> None:
        if topic == self._letters:
            self.dead_letters += 1
            return
        event: dict[str, Any] = orjson.loads(value)
        told = self.requests.setdefault(str(event["request_id"]), Told())
        if topic == self._fragments:
            self._fragment(told, event["attempt"], event["sequence"])
        elif topic == self._completions:
            told.completions += 1
            error = event.get("error")
            told.ended = f"failed: {error['code']}" if error else str(event["type"])
            told.attempt = event["attempt"]
            told.next_of = None
        elif event["type"] == "accepted":
            told.accepted += 1
        elif event["type"] == "interrupted":
            told.interrupted += 1
        elif event["type"] == "duplicate":
            told.duplicates += 1

    def _fragment(self, told: Told, attempt: int, sequence: int) -> None:
        self.fragments += 1
        if told.completions:
            return  # the topics have no order between them; a completion may be read first
        expected = told.next_of or {}
        if sequence != expected.get(attempt, 0):
            told.gaps += 1
        told.next_of = {**expected, attempt: sequence + 1}

    async def __aenter__(self) -> Self:
        self._consumer.assign(self._assigned)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._consumer.close)
