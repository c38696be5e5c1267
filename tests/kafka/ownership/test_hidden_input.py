"""A stranger's open transaction hides requests: it is measured and its producer named, on a real broker."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from service.cli.checks.hidden_requests import examine_hidden
from service.kafka.marker import Marker
from service.kafka.takeover.log_reader import LogReader, RestoreFailed
from tests.kafka.ownership.world import Member, World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def _left_open(world: World, name: str, topic: str | None = None) -> Producer:
    """A client that has written a request of its own and does not commit."""
    producer = Producer({"bootstrap.servers": world.settings.kafka.bootstrap_servers, "transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()
    body = {"type": "analyze", "request_id": "strange", "prompt": "x", "video": {"type": "url", "url": "https://a/b"}}
    producer.produce(topic or world.topics.requests, orjson.dumps(body), b"strange", partition=0)
    producer.flush(30)
    return producer


def _hiding_producers(member: Member) -> list[str]:
    """Producers that the metrics name, each with a plausible time."""
    samples = [sample for metric in member.metrics.input_hidden_since.collect() for sample in metric.samples]
    assert all(0 <= time.time() - sample.value < 600 for sample in samples)
    assert all(sample.labels["partition"] == "0" for sample in samples)
    return [sample.labels["producer_id"] for sample in samples]


async def test_an_open_transaction_of_a_stranger_is_named_until_it_ends(
    world: World, eventually: Any, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setattr("service.kafka.membership.hidden_input.PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("service.kafka.membership.upkeep.LOOK_SECONDS", 0.2)
    monkeypatch.setattr("service.cli.checks.hidden_requests.HIDDEN_SECONDS", 0.2)
    async with world.member() as member:
        await member.serves(0, 1)
        stranger = await asyncio.to_thread(_left_open, world, f"{prefix}-stranger")
        await world.request("behind")
        await world.request("other", 1)
        await eventually(lambda: member.ownership.hidden_input().get(0), "it is told")
        told = member.ownership.hidden_input()
        assert set(told) == {0}
        assert "2 offsets from 0 on are hidden by an open transaction of producer" in told[0]
        assert f"transactional id {prefix}-stranger, since 20" in told[0]
        assert member.value("reelwire_input_hidden_records", partition="0") == 2
        assert member.value("reelwire_input_hidden_seconds", partition="0") > 0
        assert member.value("reelwire_input_hidden_records", partition="1") == 0
        [producer_id] = _hiding_producers(member)
        assert f"of producer {producer_id}, " in told[0]
        assert member.value("reelwire_input_lag", partition="0") == 2
        await eventually(lambda: member.host.live() == {"other"})

        [finding] = await examine_hidden(world.settings)
        assert finding.grade == "warn"
        assert finding.about == f"partition 0 of {world.topics.requests}"
        assert f"{prefix}-stranger" in finding.detail

        await asyncio.to_thread(stranger.abort_transaction, 30)
        await eventually(lambda: member.host.live() == {"other", "behind"})
        await eventually(lambda: not member.ownership.hidden_input())
        await eventually(lambda: member.value("reelwire_input_hidden_records", partition="0") == 0)
        assert _hiding_producers(member) == []
        assert await examine_hidden(world.settings) == []


async def test_an_open_transaction_of_a_stranger_in_a_private_topic_is_named(world: World, prefix: str) -> None:
    topic, marker = world.topics.jobs, Marker.new("tests", 1)
    stranger = await asyncio.to_thread(_left_open, world, f"{prefix}-stranger", topic)
    record = marker.record(topic, 0)
    await world.write(topic, record.key, record.value)
    brief = world.settings.kafka.model_copy(update={"call_timeout_seconds": 2.0, "transaction_timeout_ms": 1_000})
    async with LogReader(brief) as reader:
        with pytest.raises(
            RestoreFailed, match=rf"before our marker, because .* transactional id {prefix}-stranger, s"
        ):
            async for _ in reader.until(marker, topic, 0, lambda: True):
                pass
    await asyncio.to_thread(stranger.abort_transaction, 30)
