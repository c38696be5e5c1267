"""Produce requests are encoded as aiokafka does it, with one copy of the records."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from aiokafka.protocol.produce import ProduceRequest

from service.kafka.connecting.encoding import encode_in_one_piece, encoded

pytestmark = pytest.mark.unit

API_KEY = 0
RECORDS_BYTES = 4 * 1024 * 1024


def request(records: bytes) -> ProduceRequest:
    topics = [("jobs", [(0, records), (7, b"")]), ("progress", [(3, records[:10])]), ("none", [])]
    return ProduceRequest(transactional_id=None, required_acks=-1, timeout=1_000, topics=topics)


class Client:
    """A client that prepares what it is given as a connection does."""

    async def send(self, node: int, request: Any, **options: Any) -> bytes:
        whole: bytes = request.prepare({API_KEY: (0, 9)}).encode()
        return whole


@pytest.mark.parametrize("version", range(len(ProduceRequest._CLASSES)))
def test_the_bytes_are_those_of_aiokafka(version: int) -> None:
    struct = request(b"records" * 10).prepare({API_KEY: (version, version)})

    assert encoded(struct) == struct.encode()


async def test_no_more_than_one_copy_of_the_records_is_made() -> None:
    client = Client()
    encode_in_one_piece(client)
    records = bytes(RECORDS_BYTES)
    tracemalloc.start()
    try:
        whole = await client.send(0, request(records))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(whole) > RECORDS_BYTES
    assert peak < 1.5 * RECORDS_BYTES
