"""What a takeover reads of the handovers topic, on a real broker."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from service.clock import SystemClock
from service.domain.facts import AnalysisEnded, Outcome
from service.domain.handover import Carrying, Note, Owned, Result, Stop
from service.kafka.connecting.connection import client_options
from service.kafka.handover.records import encode_note
from service.kafka.marker import MARKER_KEY
from service.kafka.ports import InRecord
from service.kafka.takeover import carried
from service.kafka.topics.record_limits import TopicLimits
from tests.kafka.ownership.world import Member, World, event_of, until

pytestmark = pytest.mark.integration

DAY_MS = 24 * 3_600_000
RESULT = AnalysisEnded(Outcome("x" * 9_000, "stop", "g"))  # larger than a record of `write`


def now_ms() -> int:
    return int(SystemClock().time() * 1000)


async def write(world: World, *notes: Note, parts: slice = slice(None)) -> list[int]:
    """Write notes as a carrier does, outside of any transaction; returns the offsets of their records."""
    topic = world.topics.handovers
    records = [record for note in notes for record in encode_note(note, topic, 0, TopicLimits({topic: 4_096}))[parts]]
    return [await world.write(topic, record.key, record.value) for record in records]


async def markers(world: World, partition: int = 0) -> list[InRecord]:
    records = await world.read(world.topics.handovers, partition)
    return [record for record in records if record.key == MARKER_KEY]


def taking_over(world: World, since_ms: int | None) -> Member:
    """A process whose jobs say that an attempt has been under way since then."""
    member = world.member()
    member.host.attempt_since_ms = since_ms
    return member


async def test_the_notes_in_front_of_the_marker_are_handed_over_in_their_order(world: World) -> None:
    async with world.member() as first:
        await first.serves(0, 1)
    notes: list[Note] = [Carrying("r", 1, "a"), Stop("s", 1, "canceled"), Result("r", 1, "a", RESULT)]
    offsets = await write(world, *notes)
    async with taking_over(world, now_ms()) as second:
        await second.serves(0, 1)
        jobs = second.host.jobs(0)
        assert [read.note for read in jobs.notes if not isinstance(read.note, Owned)] == notes
        first_note = jobs.notes[0].note
        assert isinstance(first_note, Owned)
        assert (first_note.instance, first_note.said > 0) == ("", True)  # the name of the first process is empty here
        assert jobs.notes[-1].offset == offsets[-1]
        assert jobs.follow_from == (await markers(world))[-1].offset + 1
        assert [type(read.note) for read in second.host.jobs(1).notes] == [Owned]


async def test_a_result_of_which_parts_are_still_to_come_is_read_again_from_its_first(world: World) -> None:
    result = Result("r", 1, "a", RESULT)
    before = await write(world, Carrying("r", 1, "a"))
    offsets = await write(world, result, parts=slice(-1))
    async with taking_over(world, now_ms()) as member:
        await member.serves(0, 1)
        jobs = member.host.jobs(0)
        assert [(read.offset, read.note) for read in jobs.notes] == [(before[0], Carrying("r", 1, "a"))]
        assert jobs.follow_from == offsets[0]


async def test_nothing_is_read_while_no_attempt_is_under_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(carried, "LogReader", lambda *given: read.append(given))
    await write(world, Carrying("r", 1, "a"))
    async with taking_over(world, None) as member:
        await member.serves(0, 1)
        jobs = member.host.jobs(0)
        assert (jobs.resumed, jobs.notes, jobs.follow_from) == (True, [], None)
    assert read == []
    assert await markers(world)  # but whoever comes next finds where we began


@pytest.mark.parametrize("shift_ms", [-2 * DAY_MS, DAY_MS])
async def test_notes_that_retention_has_taken_and_clocks_that_differ_hold_nothing_up(
    world: World, shift_ms: int
) -> None:
    """The attempt began before the oldest note there is, or, by another clock, after the newest."""
    offsets = await write(world, *(Carrying("r", attempt, "a") for attempt in range(1, 6)))
    admin = AIOKafkaAdminClient(**client_options(world.settings.kafka))
    await admin.start()
    try:
        where = TopicPartition(world.topics.handovers, 0)
        await admin.delete_records({where: RecordsToDelete(offsets[3])})
    finally:
        await admin.close()
    async with taking_over(world, now_ms() + shift_ms) as member:
        await member.serves(0, 1)
        assert [read.note for read in member.host.jobs(0).notes] == [Carrying("r", 4, "a"), Carrying("r", 5, "a")]


async def test_notes_from_long_before_the_attempt_are_left_out(world: World) -> None:
    topic = world.topics.handovers
    (old,) = encode_note(Carrying("r", 1, "a"), topic, 0, TopicLimits())
    await world.producer.send_and_wait(topic, old.value, key=old.key, partition=0, timestamp_ms=now_ms() - 3_600_000)
    await write(world, Carrying("r", 2, "a"))
    async with taking_over(world, now_ms()) as member:
        await member.serves(0, 1)
        assert [read.note for read in member.host.jobs(0).notes] == [Carrying("r", 2, "a")]


async def test_a_process_that_keeps_a_partition_renews_its_marker_in_the_handovers_topic_too(world: World) -> None:
    async with world.member() as first:
        await first.serves(0, 1)
        async with world.member() as second:
            await until(lambda: len(first.serving()) == len(second.serving()) == 1, "they share")
            (kept,) = first.serving()
            found = await markers(world, kept)
            assert len(found) > 1
            assert all(event_of(record)["instance"] == "" for record in found)
