"""Requests that nobody can read, because another client has left a transaction open in front of them."""

from __future__ import annotations

import asyncio

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from service.cli.checks.finding import Finding
from service.cli.reading.cluster import reachable
from service.kafka.connecting.connection import client_of, new_consumer
from service.kafka.membership.hidden_input import explain
from service.kafka.other_clients.open_transactions import Ends, OpenTransaction, ends_of, open_transactions
from service.settings import Settings
from service.words import in_words

HIDDEN_SECONDS = 2.0
"""What is still hidden after this time counts: a transaction in use ends or grows, and committed readers move on."""

_TODO = "end that client's transaction (kafka-transactions.sh abort), or wait for the broker to time it out"


async def examine_hidden(settings: Settings) -> list[Finding]:
    """A warning for each partition of the requests topic; none when all is visible. Raises `BrokerUnavailable`."""
    topic = settings.topics.requests
    consumer = new_consumer(settings.kafka, enable_auto_commit=False)
    try:
        async with reachable(settings):
            await consumer.start()
            client = client_of(consumer)
            await client.add_topic(topic)
            numbers = sorted(consumer.partitions_for_topic(topic) or ())
            before = await ends_of(client, topic, numbers)
            unknown = [_unknown(topic, number) for number in numbers if number not in before]
            if not any(ends.hidden for ends in before.values()):
                return unknown
            await asyncio.sleep(HIDDEN_SECONDS)
            after = await ends_of(client, topic, list(before))
            stuck = [n for n, ends in after.items() if ends.hidden and ends.stable == before[n].stable]
            return unknown + [await _finding(client, TopicPartition(topic, number), after[number]) for number in stuck]
    finally:
        await consumer.stop()


def _unknown(topic: str, partition: int) -> Finding:
    detail = "where it ends is unknown: it has no leader, or its leader does not answer"
    return Finding("warn", f"partition {partition} of {topic}", detail, "look at the brokers (kafka-topics --describe)")


async def _finding(client: object, where: TopicPartition, ends: Ends) -> Finding:
    found: list[OpenTransaction] = []
    todo = _TODO
    try:
        found = await open_transactions(client, where.topic, where.partition)
    except (KafkaError, NotImplementedError) as error:
        todo = f"{_TODO}; whose it is can't be read: {in_words(error)}"
    detail = explain(ends, found[0] if found else None)
    return Finding("warn", f"partition {where.partition} of {where.topic}", detail, todo)
