"""Notifications that are repeated and out of order, processes that are killed: one request for each version."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

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
    letters = await world.letters()
    assert sorted(letter["dlq.error.code"] for letter in letters) == ["invalid", "not_json"]
    assert {letter["dlq.original.topic"] for letter in letters} == {world.source}
    assert "Records[0].eventName" in next(
        one["dlq.error.message"] for one in letters if one["dlq.error.code"] == "invalid"
    )


def _berlin(uri: str) -> str:
    """The time in the name, as UTC: one hour less in November."""
    text = uri.rpartition("T")[2].removesuffix(".mp4")
    return f"{int(text[:2]) - 1}:{text[2:4]}:{text[4:6]}.000Z"
