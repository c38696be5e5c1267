"""Where partitions end, for readers of either isolation level, and whose open transaction makes the difference.

A producer that leaves a transaction open hides everything behind it from committed readers: the partition looks as if
nothing waited.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, RequestTimedOutError, StaleMetadata, for_code
from aiokafka.protocol.offset import OffsetRequest

from service.clock import rfc3339
from service.kafka.other_clients.transaction_requests import (
    DescribeProducersRequest,
    DescribeTransactionsRequest,
    ListTransactionsRequest,
)

_LATEST = -1
_UNCOMMITTED, _COMMITTED = 0, 1


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a partition ends. What lies between the two is hidden by an open transaction."""

    stable: int  # where committed readers have to stop
    last: int  # behind the last record

    @property
    def hidden(self) -> int:
        """How many offsets committed readers can't see."""
        return max(0, self.last - self.stable)


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A producer with an open transaction in a partition. What we may not know is None."""

    producer_id: int
    offset: int  # its first record
    last_write_ms: int
    transactional_id: str | None = None
    begun_ms: int | None = None

    @property
    def since_ms(self) -> int:
        """When it began; when its producer last wrote, if the beginning is not told."""
        return self.last_write_ms if self.begun_ms is None else self.begun_ms

    def __str__(self) -> str:
        name = "" if self.transactional_id is None else f", transactional id {self.transactional_id}"
        return f"producer {self.producer_id}{name}, since {rfc3339(self.since_ms / 1000)}"


async def ends_of(
    client: Any, topic: str, partitions: Sequence[int], *, limit_seconds: float = 10.0
) -> dict[int, Ends]:
    """The ends of these partitions. `client` is a started client of aiokafka.

    A partition that can't be asked about now is left out: it has no leader, or its leader does not answer within
    `limit_seconds`, which is for one request of two. Raises `KafkaError` when that is so for all of them.
    """
    if not partitions:
        return {}
    # In this order: what arrives between the two answers would look hidden otherwise. A connection answers one request
    # after the other, so there may be half a second of a fetch between them.
    last = await _offsets(client, topic, partitions, _UNCOMMITTED, limit_seconds)
    stable = await _offsets(client, topic, list(last), _COMMITTED, limit_seconds)
    return {partition: Ends(stable[partition], max(last[partition], stable[partition])) for partition in stable}


async def open_transactions(client: Any, topic: str, partition: int) -> list[OpenTransaction]:
    """The open transactions with records in a partition, the one that hides most first.

    Needs READ on the topic; for a transaction's name and beginning DESCRIBE on its transactional id. Raises
    `KafkaError`.
    """
    leader = _leader(client, topic, partition)
    response = await client.send(leader, DescribeProducersRequest(topic, partition))
    [(_, [(_, code, _, producers, _)], _)] = response.topics
    _raise_for(code)
    found = [
        OpenTransaction(producer_id, start, last_ms)
        for producer_id, _, _, last_ms, _, start, _ in producers
        if start >= 0
    ]
    found.sort(key=lambda one: one.offset)
    return [await _named(client, one) for one in found]


async def _named(client: Any, found: OpenTransaction) -> OpenTransaction:
    """With name and beginning, as far as they are told; any broker may be the transaction's coordinator."""
    for broker in client.cluster.brokers():
        try:
            listed = await client.send(broker.nodeId, ListTransactionsRequest(found.producer_id))
            for name, producer_id, *_ in listed.transactions if listed.error_code == 0 else ():
                if producer_id != found.producer_id:
                    continue
                described = await client.send(broker.nodeId, DescribeTransactionsRequest(name))
                [(code, _, _, _, begun_ms, *_)] = described.transactions
                begun = begun_ms if code == 0 and begun_ms >= 0 else None
                return OpenTransaction(found.producer_id, found.offset, found.last_write_ms, name, begun)
        except (KafkaError, NotImplementedError):
            continue
    return found


async def _offsets(
    client: Any, topic: str, partitions: Sequence[int], isolation: int, limit_seconds: float
) -> dict[int, int]:
    by_leader: dict[int, list[int]] = defaultdict(list)
    error: BaseException | None = None
    for partition in partitions:
        try:
            by_leader[_leader(client, topic, partition)].append(partition)
        except StaleMetadata as stale:
            error = stale
    asked = [
        _answer(client, leader, OffsetRequest(-1, isolation, [(topic, [(n, _LATEST) for n in numbers])]), limit_seconds)
        for leader, numbers in by_leader.items()
    ]
    found: dict[int, int] = {}
    for response in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(response, BaseException):
            if not isinstance(response, KafkaError):
                raise response
            error = response
            continue
        for _, parts in response.topics:
            for partition, code, _timestamp, offset in parts:
                if code:
                    error = for_code(code)()
                    client.force_metadata_update()  # most codes say that the leader is another one by now
                else:
                    found[partition] = offset
    if error is not None and not found:
        raise error
    return found


async def _answer(client: Any, node: int, request: Any, limit_seconds: float) -> Any:
    """Ask one broker. Raises `KafkaError`, also when it is silent."""
    try:
        async with asyncio.timeout(limit_seconds):
            return await client.send(node, request)
    except TimeoutError:
        raise RequestTimedOutError(f"no answer of broker {node} within {limit_seconds:g} s") from None


def _leader(client: Any, topic: str, partition: int) -> int:
    leader: int | None = client.cluster.leader_for_partition(TopicPartition(topic, partition))
    if leader is None or leader < 0:
        client.add_topic(topic)
        client.force_metadata_update()
        raise StaleMetadata(f"the leader of {topic}/{partition} is unknown")
    return leader


def _raise_for(code: int) -> None:
    if code:
        raise for_code(code)()
