"""Without transactions nobody is fenced. Instead a consumer group says which process sends for a backfill.

The group has the name that the transactional id would have. Of its members one holds all partitions of the requests
topic, and reads none of them: holding them is the lock. The broker decides between two that come at once, and takes a
member for dead that is silent for the session timeout, so a lock outlives its process by no more than that.

A process that was frozen finds when it wakes that its time has run out, by its own clock and before it sends. What is
left is the moment between that look and the network: a freeze that falls into it lets one chunk through.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError

from service.backfill.errors import AlreadyRuns, Overtaken
from service.clock import SystemClock
from service.kafka.connecting.connection import is_unreachable, new_admin, new_member, stop_consumer
from service.kafka.connecting.refusals import reading_words
from service.kafka.membership.lease import GroupLease
from service.kafka.writing.producer import ProducerFailed
from service.settings import Settings

_FETCH_BYTES = 1_024
_POLL_MS = 100
_IDLE_MS = 2**31 - 1  # nothing is ever read
_ASK_SECONDS = 5.0
_STANDS_BY, _HOLDS, _TAKES = b"", b"1", b"2"
_RANK = {_TAKES: 0, _HOLDS: 1}


class _OneHolder(AbstractPartitionAssignor):  # type: ignore[misc]
    """Gives all partitions to one member: to who takes them by force, else to who has them, else to anybody."""

    name = "reelwire-backfill-lock"
    says: Callable[[], bytes] = staticmethod(lambda: _STANDS_BY)

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(0, list(topics), cls.says())

    @classmethod
    def assign(
        cls, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        chosen = min(members, key=lambda member: (_RANK.get(members[member].user_data, 2), member))
        partitions = [
            (topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in sorted(members[chosen].subscription)
        ]
        return {
            member: ConsumerProtocolMemberAssignment(0, partitions if member == chosen else [], b"")
            for member in members
        }

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing is kept."""


class Lock:
    """Taken before anything is sent, and taken anew after it was lost. One task calls it.

    `alive` makes it a `Lease`: the producer asks before each request that leaves.
    """

    def __init__(self, settings: Settings, group: str, *, force: bool = False) -> None:
        """`force`: the first time it is taken from whoever has it."""
        self._settings = settings
        self._group = group
        self._force = force
        self._taken_before = False
        self._consumer: AIOKafkaConsumer | None = None
        self._lease: GroupLease | None = None
        self._holds = self._begins = False
        self._decided = asyncio.Event()

    def alive(self) -> bool:
        """Whether this process may send at this moment. Once it has said no it says no until the lock is taken anew."""
        return self._lease is not None and self._lease.may_send(0) and self._holds

    async def take(self) -> None:
        """Get the lock, which takes as long as a silent predecessor has left to be heard of.

        Raises `AlreadyRuns` when another backfill has it; `Overtaken` when that began while this one had it before;
        `ProducerFailed` when no broker answers, or it refuses.
        """
        await self.leave()
        kafka = self._settings.kafka
        assignor = type("Own", (_OneHolder,), {"says": staticmethod(self._says)})
        me = f"{kafka.client_id} backfill on {socket.gethostname()}, process {os.getpid()}"
        named = kafka.model_copy(update={"client_id": me})
        consumer = new_member(named, self._group, assignor, _FETCH_BYTES, max_poll_interval_ms=_IDLE_MS)
        self._begins, self._decided = True, asyncio.Event()
        lease = GroupLease(
            session_timeout_ms=kafka.session_timeout_ms, clock=SystemClock(), confirmed=lambda: self._begins
        )
        self._consumer, self._lease = consumer, lease
        limit = (kafka.session_timeout_ms + kafka.rebalance_timeout_ms) / 1000 + kafka.call_timeout_seconds
        try:
            async with asyncio.timeout(limit):
                await consumer.start()
                lease.attach(consumer)
                consumer.subscribe([self._settings.topics.requests], listener=_Listener(self.given, consumer))
                while not self._decided.is_set():
                    await consumer.getmany(timeout_ms=_POLL_MS)
        except (KafkaError, TimeoutError, OSError) as error:
            await self.leave()
            unreachable = is_unreachable(error)
            raise ProducerFailed("lock", reading_words(error), unreachable=unreachable) from error
        except BaseException:
            await self.leave()
            raise
        if not self._holds:
            other = await self._other(me)
            await self.leave()
            raise Overtaken if self._taken_before else AlreadyRuns(other)
        self.alive()  # from here on a silence that is too long is never forgiven
        self._begins, self._force, self._taken_before = False, False, True

    def given(self, partitions: frozenset[TopicPartition]) -> None:
        """A rebalance has ended. Called by the listener; synchronous (docs/kafka-rules.md, rule 6)."""
        self._holds = bool(partitions)
        self._decided.set()

    def _says(self) -> bytes:
        """What this member tells the group each time it joins. A process that woke from a freeze claims nothing."""
        if not self._begins:
            return _HOLDS if self.alive() else _STANDS_BY
        return _TAKES if self._force else _STANDS_BY

    async def _other(self, me: str) -> str:
        """Who holds the lock, in words; as much as the group tells."""
        admin = new_admin(self._settings.kafka)
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                await admin.start()
                [answer] = await admin.describe_consumer_groups([self._group])
            _, _, _, _, _, members, *_ = answer.groups[0]
            names = sorted({f"{member[1]}, at {str(member[2]).lstrip('/')}" for member in members if member[1] != me})
        except (KafkaError, TimeoutError, OSError):
            names = []
        finally:
            await admin.close()
        return names[0] if names else "one that does not tell its name"

    async def leave(self) -> None:
        """Let go of the lock at once. Never raises; bounded in time."""
        consumer, self._consumer, self._lease = self._consumer, None, None
        self._holds = False
        if consumer is not None:
            await stop_consumer(consumer)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes on at once: aiokafka swallows a listener's exceptions, and hands out records while it awaits."""

    def __init__(self, given: Callable[[frozenset[TopicPartition]], None], consumer: AIOKafkaConsumer) -> None:
        self._given = given
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: object) -> None:
        """The lock stays where it is until the group has decided."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        places = frozenset(assigned)
        if places:
            self._consumer.pause(*places)
        for where in places:
            self._consumer.seek(where, 0)  # without a place the consumer would look for one
        self._given(places)
