"""Notifications that are repeated and out of order, processes that are killed: one request for each version."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter

import pytest
from confluent_kafka import Producer

from reelwire_client.partitioning import partition_of
from service.sandbox.program import Program
from tests.ingest.world import World, record_of, s3_event

pytestmark = pytest.mark.integration

OBJECTS = 150
RULE = """name = "cams"
source = "s3"
prefix = "cams/"
match = 'cams/(?P<camera>[^/]+)/'
prompt = "What happens?"
key = "{camera}"
recorded_at = { pattern = "%Y%m%dT%H%M%S", zone = "Europe/Berlin" }"""


def _notifications(rng: random.Random) -> tuple[list[bytes], set[tuple[str, str]]]:
    """Records, most of them repeated and all of them mixed; and the versions that they name."""
    entries, versions = [], set()
    for number in range(OBJECTS):
        key = f"cams/cam{number % 7}/20261123T12{number // 60:02}{number % 60:02}.mp4"
        for version in range(rng.choice((1, 1, 2))):
            entry = s3_event(key, version=f"v{version}", etag=f"e{number}-{version}", sequencer=number * 10 + version)
            versions.add((f"s3://footage/{key}", f"v{version}"))
            entries.extend([entry] * rng.choice((1, 2, 3)))
    rng.shuffle(entries)
    records = []
    while entries:
        size = rng.choice((1, 1, 3))
        records.append(record_of(*entries[:size]))
        del entries[:size]
    return records, versions


async def _until_sent(world: World, wanted: int) -> None:
    async with asyncio.timeout(40):
        while len({request["request_id"] for request in await world.requests()}) < wanted:
            await asyncio.sleep(0.05)


async def _active(world: World, *programs: Program) -> Program:
    """The one that works, as soon as one does."""
    async with asyncio.timeout(30):
        while True:
            for program in programs:
                if program.running and await _works(world, program):
                    return program
            await asyncio.sleep(0.05)


async def _works(world: World, program: Program) -> bool:
    try:
        return await world.metric(program.name, "reelwire_ingest_active") == 1
    except OSError:
        return False


async def test_one_request_for_each_version_though_processes_are_killed(world: World) -> None:
    records, versions = _notifications(random.Random(5))
    rules = str(world.write_rules(RULE))
    third = len(records) // 3
    one, two = world.program("one", "--rules", rules), world.program("two", "--rules", rules)
    await asyncio.gather(one.start(), two.start())
    first = await _active(world, one, two)
    await asyncio.to_thread(world.send, records[:third])
    await first.kill()  # somewhere in the middle of the first third
    second = two if first is one else one
    await asyncio.to_thread(world.send, [*records[third : 2 * third], b"not json", record_of({"eventName": 7})])
    await _active(world, second)
    await first.start()
    await second.kill()
    await asyncio.to_thread(world.send, records[2 * third :])
    await _active(world, first)
    await _until_sent(world, len(versions))
    # Everything once more: nothing is sent for it.
    await asyncio.to_thread(world.send, [*records[:20], record_of(s3_event("cams/last/20261123T125959.mp4"))])
    await _until_sent(world, len(versions) + 1)

    requests = await world.requests()
    found = Counter((one["video"]["uri"], one["metadata"]["ingest"].get("version")) for one in requests)
    assert set(found) - versions == {("s3://footage/cams/last/20261123T125959.mp4",
                                      next(v for u, v in found if "last" in u))}  # fmt: skip
    assert set(found.values()) == {1}
    assert {one["_key"] for one in requests} == {f"cam{number}" for number in range(7)} | {"last"}
    assert all(one["recorded_at"] == "2026-11-23T" + _berlin(one["video"]["uri"]) for one in requests)
    assert all(one["_partition"] == partition_of(one["_key"].encode(), 3) for one in requests)
    letters = await world.letters()
    assert sorted(letter["dlq.error.code"] for letter in letters) == ["invalid", "not_json"]
    assert {letter["dlq.original.topic"] for letter in letters} == {world.source}
    await asyncio.gather(first.kill(), second.kill())
    assert "Records[0].eventName" in next(
        one["dlq.error.message"] for one in letters if one["dlq.error.code"] == "invalid"
    )


async def test_a_redrive_leaves_notifications_out(world: World) -> None:
    redrive = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.cli", "dlq", "redrive", "--all", "--dry-run"),
        env={**os.environ, **world.environment},
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await redrive.communicate()

    assert redrive.returncode == 0, told.decode()
    assert b"0 would be sent; left out: 2 notifications, which are no requests" in told


async def test_a_process_that_was_frozen_commits_nothing_when_it_wakes(world: World) -> None:
    before = len(await world.requests())
    rules = str(world.write_rules(RULE))
    one, two = world.program("three", "--rules", rules), world.program("four", "--rules", rules)
    await asyncio.gather(one.start(), two.start())
    frozen = await _active(world, one, two)
    other = two if frozen is one else one
    frozen.send(signal.SIGSTOP)
    # What the two see is hidden, so that the other one must wait for it before it knows what was sent.
    hidden = Producer(
        {"bootstrap.servers": world.environment["REELWIRE_KAFKA__BOOTSTRAP_SERVERS"], "transactional.id": world.prefix}
    )
    await asyncio.to_thread(hidden.init_transactions, 10)
    hidden.begin_transaction()
    hidden.produce(world.settings().topics.requests, b"{}", key=b"foreign")
    await asyncio.to_thread(hidden.flush, 10)
    again = [record_of(s3_event(f"cams/zombie/20261123T1300{number:02}.mp4", version="v")) for number in range(40)]
    await asyncio.to_thread(world.send, again)
    await asyncio.to_thread(hidden.abort_transaction, 10)
    await _active(world, other)
    frozen.send(signal.SIGCONT)
    await asyncio.to_thread(world.send, again)
    await _until_sent(world, before + 40)
    async with asyncio.timeout(30):  # both have read everything, and one of them stands by
        while (
            await world.metric(frozen.name, "reelwire_ingest_active")
            + await world.metric(other.name, "reelwire_ingest_active")
            != 1
            or await _duplicates(world, frozen, other) < 40
        ):
            await asyncio.sleep(0.1)

    assert len(await world.requests()) == before + 40


async def _duplicates(world: World, *programs: Program) -> float:
    series = 'reelwire_ingest_notifications_total{outcome="duplicate"}'
    return sum([await world.metric(program.name, series) for program in programs])


def _berlin(uri: str) -> str:
    """The time in the name, as UTC: one hour less in November."""
    text = uri.rpartition("T")[2].removesuffix(".mp4")
    return f"{int(text[:2]) - 1}:{text[2:4]}:{text[4:6]}.000Z"
