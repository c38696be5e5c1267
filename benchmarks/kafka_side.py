"""The harness's own hands in Kafka: confluent-kafka, so that neither contestant's library measures itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from confluent_kafka import Consumer, Message, Producer, TopicPartition


class Missing(Exception):
    """Something that had to arrive did not, in time."""


def produce(servers: str, records: Iterable[tuple[str, int, bytes, bytes]]) -> None:
    """Write records (topic, partition, key, value) and wait until all are there."""
    producer = Producer(
        {"bootstrap.servers": servers, "linger.ms": 5, "acks": "all", "queue.buffering.max.messages": 500_000}
    )
    failed: list[str] = []

    def delivered(error: object, _message: Message) -> None:
        if error is not None:
            failed.append(str(error))

    for topic, partition, key, value in records:
        while True:
            try:
                producer.produce(topic, value, key, partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(120) or failed:
        raise Missing(f"requests could not be written: {failed[:1]}")


class Watcher:
    """Reads a topic from its present end, read_committed."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "bench-watcher",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        ends = [
            TopicPartition(topic, number, self._consumer.get_watermark_offsets(TopicPartition(topic, number), 10)[1])
            for number in range(partitions)
        ]
        self._consumer.assign(ends)

    def wait_for(self, wanted: set[str], seconds: float) -> None:
        """Wait until a `completed` event of every request is read. Raises `Missing`."""
        deadline = time.monotonic() + seconds
        while wanted:
            if time.monotonic() > deadline:
                raise Missing(f"{len(wanted)} jobs have not completed within {seconds:g} s, {min(wanted)} among them")
            for message in self._consumer.consume(500, 0.01):
                event = json.loads(message.value())
                if event["type"] != "completed":
                    raise Missing(f"a job ended otherwise: {event}")
                wanted.discard(event["request_id"])

    def close(self) -> None:
        self._consumer.close()


def record_count(servers: str, topic: str, partitions: int) -> int:
    """Records in a topic that no transaction and no retention touches."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bench-watcher"})
    try:
        counts = 0
        for number in range(partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), 10)
            counts += high - low
        return counts
    finally:
        consumer.close()
