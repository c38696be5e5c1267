"""A stranger's open transaction hides requests: it is measured and its producer named, on a real broker."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from service.cli.checks.hidden_requests import examine_hidden
from tests.kafka.ownership.world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def _left_open(world: World, name: str) -> Producer:
    """A client that has written a request of its own and does not commit."""
    producer = Producer({"bootstrap.servers": world.settings.kafka.bootstrap_servers, "transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()
    body = {"type": "analyze", "request_id": "strange", "prompt": "x", "video": {"type": "url", "url": "https://a/b"}}
    producer.produce(world.topics.requests, orjson.dumps(body), partition=0)
    producer.flush(30)
    return producer


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
        assert await examine_hidden(world.settings) == []
