"""A batch that was damaged on the broker's disk, in every part of it that matters."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from contracts.deadletters import DeadLetterInfo
from service.sandbox.broker.local import LocalBroker
from service.settings import Settings
from tests.kafka.ownership.conftest import MakeWorld
from tests.kafka.ownership.world import Eventually, World, says

pytestmark = pytest.mark.integration

Damage = Callable[[bytearray, int], None]

LENGTH_AT, MAGIC_AT, DELTA_AT, RECORDS_AT = 8, 16, 23, 61


def put(at: int, data: bytes) -> Damage:
    """Write over a part of the batch."""

    def damage(log: bytearray, start: int) -> None:
        log[start + at : start + at + len(data)] = data

    return damage


DAMAGES: dict[str, Damage] = {
    "a record": put(RECORDS_AT + 10, b"\xff\x00\xff"),
    "the format": put(MAGIC_AT, b"\x09"),
    "the last offset": put(DELTA_AT, struct.pack(">i", 77)),
    "a length that is too short": put(LENGTH_AT, struct.pack(">i", 60)),
    "a length that is too long": put(LENGTH_AT, struct.pack(">i", 1_000_000)),
    "a negative length": put(LENGTH_AT, struct.pack(">i", -5)),
    "the first offset": put(0, struct.pack(">q", 1 << 40)),
}


WHILE_IT_RUNS = ("a length that is too short", "a length that is too long", "a negative length")
"""A broker that starts with one of these takes the log to end there, or does not start."""


def starts_of(log: bytes | bytearray) -> list[int]:
    """Where each batch of a segment begins."""
    found, at = [], 0
    while at + 12 <= len(log):
        size: int = 12 + struct.unpack_from(">i", log, at + 8)[0]
        if size <= 12:
            break
        found.append(at)
        at += size
    return found


def segment(broker: LocalBroker, topic: str) -> Path:
    (path,) = broker.data_dir.glob(f"**/{topic}-0/00000000000000000000.log")
    return path


def harm(path: Path, batch: int, damage: Damage) -> None:
    log = bytearray(path.read_bytes())
    damage(log, starts_of(log)[batch])
    path.write_bytes(log)


async def _halt(broker: LocalBroker) -> None:
    await broker._end_process()


async def test_requests_behind_damaged_batches_are_taken_and_their_offsets_are_in_the_dead_letters(
    settings: Settings, make_world: MakeWorld, eventually: Eventually, tmp_path: Path
) -> None:
    async with LocalBroker(data_dir=tmp_path / "kafka") as broker:
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        base = settings.model_copy(update={"kafka": kafka})
        worlds: dict[str, Settings] = {}
        for number, name in enumerate(DAMAGES):
            names = {role: f"d{number}.{role}" for role in ROLES}
            own = kafka.model_copy(update={"group_id": f"damage-{number}"})
            topics = base.topics.model_copy(update=names)
            worlds[name] = base.model_copy(update={"topics": topics, "kafka": own})
            async with make_world(worlds[name]) as world:
                for request in ("a", "b", "c", "d"):
                    await world.request(request)  # a batch each
        await _halt(broker)
        for name, damage in DAMAGES.items():
            if name not in WHILE_IT_RUNS:
                harm(segment(broker, worlds[name].topics.requests), 1, damage)
        await broker.start()
        for name in WHILE_IT_RUNS:
            harm(segment(broker, worlds[name].topics.requests), 1, DAMAGES[name])
        for name, own_settings in worlds.items():
            producer_of = World(own_settings, None)
            async with producer_of.member() as member:
                await eventually(lambda m=member: "d" in m.host.live(), f"{name}: the last request")  # type: ignore[misc]
                assert member.value("reelwire_group_rejoins_total") == 0
                taken = {"abcd".index(request) for request in member.host.live()}
                assert {"a", "d"} <= member.host.live() <= {"a", "c", "d"}, name
            letters = await producer_of.read(own_settings.topics.dead_letters)
            infos = [DeadLetterInfo.from_headers(letter.headers) for letter in letters]
            skipped = {n for info in infos for n in range(info.offset, (info.last_offset or info.offset) + 1)}
            print(f"{name}: {[(info.offset, info.last_offset, info.message) for info in infos]}")
            assert skipped | taken == {0, 1, 2, 3}, name
            assert not skipped & taken, name
            assert await producer_of.committed() == 4, name


async def test_damage_in_our_own_topics_stops_nothing_and_a_job_record_is_quarantined_by_its_offset(
    settings: Settings, make_world: MakeWorld, eventually: Eventually, tmp_path: Path
) -> None:
    async with LocalBroker(data_dir=tmp_path / "kafka") as broker:
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        own = settings.model_copy(update={"kafka": kafka})
        async with make_world(own) as world:
            for name in ("a", "b", "c"):
                await world.write(own.topics.jobs, name.encode(), orjson.dumps({"v": 1, "digest": name}))
            async with world.member() as member:
                await member.serves(0, 1)
                await member.host.jobs(0).finish("a")
                await world.write(own.topics.assets, b"k", b"v")
                await world.write(own.topics.assets, b"l", b"v")
        await _halt(broker)
        record = DAMAGES["a record"]
        harm(segment(broker, own.topics.jobs), 1, record)
        finished = segment(broker, own.topics.finished)
        harm(finished, len(starts_of(finished.read_bytes())) - 2, record)  # the record of "a", before its commit marker
        harm(segment(broker, own.topics.assets), 0, record)
        await broker.start()
        world = World(own, None)
        for _ in range(2):
            async with world.member() as member:
                await member.serves(0, 1)
                assert member.host.jobs(0).restored == ["c"]
        (letter,) = await world.read(own.topics.dead_letters)
        info = DeadLetterInfo.from_headers(letter.headers)
        assert (info.topic, info.offset, info.last_offset) == (own.topics.jobs, 1, 1)
        assert says(letter, b'"digest":"')


ROLES = ("requests", "fragments", "completions", "progress", "dead_letters", "jobs", "finished", "assets", "handovers")
