"""Puts the records of a fuzz run into the requests topic: by librdkafka, or in batches built by hand."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import confluent_kafka

from tests.fuzz.batch import encode_batch
from tests.fuzz.case import CODECS, Case, Codec, Digest, digest_of, without_dead_letter_headers
from tests.fuzz.reading import Asked, read_requests
from tests.fuzz.wire import Connection, Refused

Position = tuple[int, int]
"""Partition and offset in the requests topic."""

_LARGEST_BYTES = 32 * 1024 * 1024
_BATCH_RECORDS = 40
_BATCH_BYTES = 200_000
_FLUSH_SECONDS = 60.0
_QUEUED = 2_000


@dataclass(frozen=True, slots=True)
class SentCase:
    """What must be known of a record after it was sent; the record itself is made again when it is needed."""

    number: int
    kind: str
    digest: Digest
    keyless: bool
    ends: frozenset[str]
    digest_as_empty: Digest
    """The digest of a copy with an empty value where neither key nor value was there: aiokafka can't write that."""
    asked: tuple[Asked, ...]
    """What the record asks for, by our own reading."""


@dataclass(slots=True)
class Ledger:
    """All that was sent, by place. Written by the sender, read by the verdict; a lock guards it."""

    places: dict[Position, SentCase] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    taken_though_damaged: list[tuple[int, str]] = field(default_factory=list)
    sent_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, case: Case, partition: int, offset: int) -> None:
        """The broker has the record."""
        asked = read_requests(case.value)
        headers = without_dead_letter_headers(case.headers)
        digest = digest_of(case.key, case.value, headers)
        empty = digest_of(None, b"", headers) if case.key is None and case.value is None else digest
        sent = SentCase(case.number, case.kind, digest, case.key is None, case.ends, empty, asked)
        with self.lock:
            self.places[partition, offset] = sent
            self.sent_bytes += case.size
            if case.damage is not None:
                self.taken_though_damaged.append((case.number, case.damage))

    def refuse(self, case: Case, reason: str) -> None:
        """The broker did not take the record."""
        with self.lock:
            self.refused[f"{case.damage or case.kind}: {reason}"] += 1


class Sender:
    """Used by one thread. `flush` returns when everything is durable or refused."""

    def __init__(self, bootstrap_servers: str, topic: str, ledger: Ledger) -> None:
        self._topic = topic
        self._ledger = ledger
        self._producers = {codec: self._producer(bootstrap_servers, codec) for codec in CODECS}
        self._leaders = leaders_of(bootstrap_servers, topic)
        self._connections: dict[str, Connection] = {}
        self._waiting: dict[tuple[int, Codec], list[Case]] = defaultdict(list)

    def send(self, case: Case) -> None:
        """Send one record, or keep it for a batch."""
        if case.route == "client":
            self._by_client(case)
        elif case.kind in ("odd_batch", "damaged_batch"):
            self._by_hand([case])
        else:
            waiting = self._waiting[case.partition, case.codec]
            waiting.append(case)
            if len(waiting) >= _BATCH_RECORDS or sum(item.size for item in waiting) > _BATCH_BYTES:
                self._by_hand(waiting)
                waiting.clear()

    def flush(self) -> None:
        """Send what was kept, and wait for the broker's word on everything."""
        for waiting in self._waiting.values():
            if waiting:
                self._by_hand(waiting)
                waiting.clear()
        for producer in self._producers.values():
            if producer.flush(_FLUSH_SECONDS):
                raise TimeoutError(f"the broker took records for longer than {_FLUSH_SECONDS:g} s")

    def close(self) -> None:
        """Close the connections; what was not flushed is lost."""
        for connection in self._connections.values():
            connection.close()

    def _by_client(self, case: Case) -> None:
        producer = self._producers[case.codec]
        headers = [(name.decode(), value) for name, value in case.headers]
        while len(producer) > _QUEUED:
            producer.poll(0.05)
        try:
            producer.produce(
                self._topic,
                value=case.value,
                key=case.key,
                headers=headers,
                partition=case.partition,
                on_delivery=self._delivered(case),
            )
        except confluent_kafka.KafkaException as error:
            self._ledger.refuse(case, error.args[0].name())
        producer.poll(0)

    def _delivered(self, case: Case) -> Callable[[confluent_kafka.KafkaError | None, confluent_kafka.Message], None]:
        def delivered(error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message) -> None:
            if error is None:
                self._ledger.took(case, message.partition(), message.offset())
            else:
                self._ledger.refuse(case, error.name())

        return delivered

    def _by_hand(self, cases: list[Case]) -> None:
        partition = cases[0].partition
        batch = encode_batch(cases, now_ms=time.time_ns() // 1_000_000)
        address = self._leaders[partition]
        try:
            connection = self._connections.get(address) or Connection(address)
            self._connections[address] = connection
            offset = connection.produce(self._topic, partition, batch)
        except (Refused, OSError) as error:
            broken = self._connections.pop(address, None) if isinstance(error, OSError) else None
            if broken is not None:  # the broker has closed it, because what was sent is no batch
                broken.close()
            if len(cases) > 1:
                for case in cases:
                    self._by_hand([case])
                return
            self._ledger.refuse(cases[0], str(error))
            return
        for number, case in enumerate(cases):
            self._ledger.took(case, partition, offset + number)

    @staticmethod
    def _producer(bootstrap_servers: str, codec: Codec) -> confluent_kafka.Producer:
        return confluent_kafka.Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "message.max.bytes": _LARGEST_BYTES,
                "compression.type": codec,
                "linger.ms": 20,
                "enable.idempotence": True,
                "log_level": 0,
            }
        )


def leaders_of(bootstrap_servers: str, topic: str) -> dict[int, str]:
    """The address of each partition's leader."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "fuzz", "log_level": 0})
    try:
        found = consumer.list_topics(topic, 20)
        brokers = {number: f"{broker.host}:{broker.port}" for number, broker in found.brokers.items()}
        return {number: brokers[part.leader] for number, part in found.topics[topic].partitions.items()}
    finally:
        consumer.close()
