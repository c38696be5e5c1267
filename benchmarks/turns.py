"""How long a request waits behind the many of others: an incident behind a backfill, one camera beside a flood.

One process with its default settings, 200 streams of one to three seconds at once. What is measured is the time from
the moment that the request is in its topic to the moment that a reader has its `stream_started`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import orjson
from confluent_kafka import Consumer, TopicPartition

from benchmarks.contestants import Reelwire
from benchmarks.kafka_side import Missing, produce
from benchmarks.stage import PARTITIONS, Stage
from benchmarks.workload import Workload

Kind = Literal["incident", "incident at once", "one of two cameras", "alone"]
KINDS: dict[Kind, str] = {
    "incident": "`high`, once {others:,} `low` requests are accepted",
    "incident at once": "`high`, sent right behind {others:,} `low` requests",
    "one of two cameras": "one camera, right behind {others:,} requests of another",
    "alone": "nobody else",
}
_AT_ONCE = 200
_RATE = 20
_LINES = (20, 60)
_LIMIT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Waited:
    """`others` requests were there before; milliseconds until each of `count` requests was begun."""

    kind: Kind
    others: int
    count: int
    ms_p50: float
    ms_max: float


async def measure_turns(stage: Stage, backfill: int, flood: int, count: int) -> list[Waited]:
    """All kinds, each in a process of its own with topics of its own. `count` requests are looked at in each."""
    found = []
    kinds: list[tuple[Kind, int]] = [
        ("incident", backfill),
        ("incident at once", backfill),
        ("one of two cameras", flood),
        ("alone", 0),
    ]
    for kind, others in kinds:
        late = await _Behind(stage, kind, others).measure(count)
        found.append(Waited(kind, others, count, round(late[len(late) // 2], 1), round(late[-1], 1)))
    return found


class _Behind:
    """Requests behind `others` of somebody else."""

    def __init__(self, stage: Stage, kind: Kind, others: int) -> None:
        self._stage = stage
        self._kind = kind
        self._others = others
        self._topics = stage.name(f"turns-{kind.replace(' ', '-')}")

    async def measure(self, count: int) -> list[float]:
        await self._stage.topics(self._topics)
        reelwire = Reelwire()
        program = await reelwire.started(self._stage, self._topics, _AT_ONCE)
        progress = await asyncio.to_thread(_Progress, self._stage.servers, f"{self._topics}.progress")
        late = []
        try:
            await asyncio.to_thread(produce, self._stage.servers, self._of_others())
            if self._kind == "incident":
                await asyncio.to_thread(progress.until_accepted, self._others)
            for number in range(count):
                name = f"wanted-{number}"
                await asyncio.to_thread(produce, self._stage.servers, [self._wanted(name, number)])
                began = time.monotonic()
                await asyncio.to_thread(progress.until_begun, name)
                late.append((time.monotonic() - began) * 1000)
        finally:
            await asyncio.to_thread(progress.close)
            await reelwire.over(program)
        return sorted(late)

    def _of_others(self) -> Iterator[tuple[str, int, bytes, bytes]]:
        for number in range(self._others):
            low = {"priority": "low"} if self._kind.startswith("incident") else {}
            yield self._record(f"other-{number:06d}", number % PARTITIONS, b"cam-of-others", **low)

    def _wanted(self, name: str, number: int) -> tuple[str, int, bytes, bytes]:
        high = {"priority": "high"} if self._kind.startswith("incident") else {}
        return self._record(name, number % PARTITIONS, b"cam-of-ours", **high)

    def _record(self, request_id: str, partition: int, key: bytes, **members: str) -> tuple[str, int, bytes, bytes]:
        least, most = _LINES
        lines = least + crc32(request_id.encode()) % (most - least)  # so that they do not all end together
        work = Workload(jobs=1, lines=lines, rate=_RATE, at_once=_AT_ONCE)
        body = orjson.loads(work.request(request_id)) | members
        return f"{self._topics}.requests", partition, key, orjson.dumps(body)


class _Progress:
    """Reads the progress topic from its present end."""

    def __init__(self, servers: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "bench-started",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        self._accepted = 0
        self._begun: set[str] = set()

    def until_accepted(self, count: int) -> None:
        """Read until `count` requests are accepted."""
        self._until(lambda: self._accepted >= count, f"{count} requests are accepted")

    def until_begun(self, request_id: str) -> None:
        """Read until the stream of a request is begun."""
        self._until(lambda: request_id in self._begun, f"{request_id} is begun")

    def _until(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _LIMIT_SECONDS
        while not reached():
            if time.monotonic() > deadline:
                raise Missing(f"not within {_LIMIT_SECONDS:g} s: {what}")
            for message in self._consumer.consume(1_000, 0.01):
                event = json.loads(message.value())
                self._accepted += event["type"] == "accepted"
                if event["type"] == "stream_started":
                    self._begun.add(event["request_id"])

    def close(self) -> None:
        self._consumer.close()
