"""Who serves which partition, and how far behind: asked of the broker every few seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError, for_code

from service.cli.exits import CommandError
from service.cli.reading.cluster import admin, coordinator_of, reachable
from service.cli.reading.topic_reader import TopicReader
from service.errors import RetryLater
from service.kafka.connecting.connection import BrokerUnavailable
from service.kafka.connecting.refusals import reading_words
from service.kafka.ports import InRecord
from service.kafka.topics.identity import identities
from service.settings import Settings
from service.supervision import Report
from service.words import in_words

LOOK_SECONDS = 5.0
ANSWERS = "answers"
_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Member:
    """A process of the service, as the group knows it."""

    client_id: str
    host: str
    partitions: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        return {"client_id": self.client_id, "host": self.host, "partitions": list(self.partitions)}


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. `lag` by partition: offsets that the service has not accepted; None where that is not known."""

    members: tuple[Member, ...] = ()
    owners: dict[int, str] = field(default_factory=dict)
    lag: dict[int, int | None] = field(default_factory=dict)
    problem: str | None = None


class Surroundings:
    """`run` looks without end; `seen` is the last look. `report` is told when the broker does not answer."""

    def __init__(self, settings: Settings, report: Report) -> None:
        self._settings = settings
        self._report = report
        self.seen = Look()

    def process_of(self, partition: int) -> str | None:
        """The client id of the process that the partition is served by."""
        return self.seen.owners.get(partition)

    async def run(self) -> None:
        """Never returns. What can't be found out is told in `seen.problem`."""
        while True:
            try:
                await self._look_again_and_again()
            except (RetryLater, CommandError, KafkaError, OSError, TimeoutError) as error:
                if isinstance(error, BrokerUnavailable):  # else it has answered, and may have refused
                    self._report(ANSWERS, ok=False, detail=in_words(error))
                old = self.seen
                self.seen = Look(old.members, old.owners, old.lag, reading_words(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _look_again_and_again(self) -> None:
        topic = self._settings.topics.requests
        async with (
            admin(self._settings) as client,
            TopicReader(self._settings, [topic], _as_it_is, committed=False) as reader,
        ):
            while True:
                async with reachable(self._settings):
                    there = await identities(client._client, [topic])  # noqa: SLF001
                if topic not in there:
                    raise CommandError(f"there is no topic {topic}; create it with: reelwire topics create")
                reader.widen({topic: there[topic].partitions})
                ends = {where.partition: at for where, at in (await reader.ends()).items()}
                async with reachable(self._settings):
                    self.seen = await _look(client, self._settings.kafka.group_id, topic, ends)
                self._report(ANSWERS, ok=True, detail="the broker answers")
                await asyncio.sleep(LOOK_SECONDS)


async def _look(client: AIOKafkaAdminClient, group: str, topic: str, ends: dict[int, int]) -> Look:
    coordinator = await coordinator_of(client, group)
    [described] = await client.describe_consumer_groups([group], coordinator)
    code, *_, found = described.groups[0][:6]
    _raise_for(code)
    members = tuple(sorted((_member(topic, *one) for one in found), key=lambda one: one.client_id))
    offsets = await client.list_consumer_group_offsets(group, coordinator)
    committed = {where.partition: at.offset for where, at in offsets.items() if where.topic == topic}
    lag = {
        partition: max(0, end - committed[partition]) if committed.get(partition, -1) >= 0 else None
        for partition, end in ends.items()
    }
    owners = {partition: one.client_id for one in members for partition in one.partitions}
    return Look(members, owners, lag)


def _raise_for(code: int) -> None:
    error = for_code(code)
    if error.errno != 0:
        raise error()


def _member(topic: str, _id: str, client_id: str, host: str, _metadata: bytes, assignment: bytes, *_: object) -> Member:
    partitions: list[int] = []
    if assignment:
        try:
            assigned = ConsumerProtocolMemberAssignment.decode(assignment).assignment
            partitions = sorted(number for name, numbers in assigned if name == topic for number in numbers)
        except (ValueError, TypeError):
            partitions = []
    return Member(client_id, host.lstrip("/"), tuple(partitions))


def _as_it_is(record: InRecord) -> InRecord:
    return record
