"""The handovers topic on a real broker: notes arrive in order, at every follower, from where each one began."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from service.clock import SystemClock
from service.domain.facts import AnalysisEnded, Outcome
from service.domain.handover import Carrying, Note, Result, Stop
from service.kafka.connecting.connection import new_consumer
from service.kafka.handover import tail
from service.kafka.handover.log import HandoverLog
from service.kafka.ports import ReadNote
from service.kafka.topics.record_limits import TopicLimits
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics
from tests.support.waiting import until

pytestmark = pytest.mark.integration

LARGEST = 16_384


@pytest.fixture
def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    return load_settings().model_copy(update={"kafka": kafka, "topics": topic_settings})


@asynccontextmanager
async def opened(settings: Settings, limits: TopicLimits) -> AsyncIterator[HandoverLog]:
    """A started log, closed at the end."""
    supervisor = Supervisor(metrics := Metrics())
    log = HandoverLog(settings=settings, metrics=metrics, clock=SystemClock(), supervisor=supervisor, limits=limits)
    await log.start()
    try:
        yield log
    finally:
        await log.close()
        await supervisor.close()


@pytest.fixture
async def notes(settings: Settings, make_topics: TopicMaker) -> AsyncIterator[HandoverLog]:
    """A started log of a topic whose records are small."""
    topic = settings.topics.handovers
    await make_topics(topic, partitions=2, configs={"max.message.bytes": str(LARGEST)})
    async with opened(settings, TopicLimits({topic: LARGEST})) as made:
        yield made


class Seen:
    """What a follower was handed."""

    def __init__(self) -> None:
        self.read: list[ReadNote] = []

    def __call__(self, note: ReadNote) -> None:
        self.read.append(note)

    @property
    def notes(self) -> list[Note]:
        return [read.note for read in self.read]


async def test_every_follower_is_handed_the_notes_from_where_it_began(notes: HandoverLog) -> None:
    first = [Carrying("r", 1, "a"), Carrying("s", 1, "a")]
    positions = [await notes.append(0, note) for note in first]
    all_of, later, other = Seen(), Seen(), Seen()
    notes.follow(0, positions[0].offset, all_of)
    await until(lambda: all_of.notes == first, seconds=20)
    following = notes.follow(0, positions[1].offset, later)
    notes.follow(1, 0, other)
    await until(lambda: later.notes == first[1:], seconds=20)
    stop = Stop("r", 1, "canceled")
    await notes.append(0, stop)
    await until(lambda: all_of.notes == [*first, stop] and later.notes == [first[1], stop], seconds=20)
    assert await following.caught_up()
    following.close()
    await notes.append(0, stop)
    await until(lambda: len(all_of.notes) == 4, seconds=20)
    assert len(later.notes) == 2
    assert other.notes == []
    assert not await following.caught_up()


async def test_a_follower_that_joins_while_a_fetch_is_under_way_misses_nothing(notes: HandoverLog) -> None:
    appended: list[Note] = [Carrying("r", 1, "a")]
    await notes.append(0, appended[0])
    first = Seen()
    notes.follow(0, 0, first)
    await until(lambda: first.notes == appended, seconds=20)
    for attempt in range(2, 12):
        joined = Seen()
        following = notes.follow(0, 0, joined)
        assert not await following.caught_up() or joined.notes == appended
        another = Seen()
        notes.follow(0, 0, another)
        appended.append(Carrying("r", attempt, "a"))
        await notes.append(0, appended[-1])
        await until(lambda: appended[-1] in joined.notes and appended[-1] in another.notes, seconds=20)  # noqa: B023
        assert joined.notes == appended
        assert another.notes == appended
    assert first.notes == appended


async def test_a_consumer_that_fetches_nothing_is_replaced_as_soon_as_somebody_asks(
    notes: HandoverLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[AIOKafkaConsumer] = []

    async def nothing(**_: Any) -> dict[Any, Any]:
        await asyncio.sleep(0)
        return {}

    def first_is_dead(*args: Any, **options: Any) -> AIOKafkaConsumer:
        made.append(new_consumer(*args, **options))
        if len(made) == 1:
            monkeypatch.setattr(made[0], "getmany", nothing)
        return made[-1]

    monkeypatch.setattr(tail, "new_consumer", first_is_dead)
    monkeypatch.setattr(tail, "_ASK_SECONDS", 0.5)
    note = Carrying("r", 1, "a")
    await notes.append(0, note)
    seen = Seen()
    following = notes.follow(0, 0, seen)
    async with asyncio.timeout(30):
        while not await following.caught_up():
            await asyncio.sleep(0)
    assert seen.notes == [note]
    assert len(made) > 1


async def test_a_follower_from_the_end_is_handed_what_comes_later(notes: HandoverLog) -> None:
    await notes.append(0, Carrying("r", 1, "a"))
    seen = Seen()
    following = notes.follow(0, None, seen)
    while not await following.caught_up():
        await asyncio.sleep(0)
    await notes.append(0, Carrying("r", 2, "a"))
    await until(lambda: seen.notes, seconds=20)
    assert seen.notes == [Carrying("r", 2, "a")]


async def test_a_result_larger_than_a_record_arrives_whole(notes: HandoverLog) -> None:
    result = Result("r", 1, "a", AnalysisEnded(Outcome('"quoted" text, é \\ ' * 10_000, "stop", "g")))
    seen = Seen()
    notes.follow(0, 0, seen)
    position = await notes.append(0, result)
    await until(lambda: seen.notes, seconds=20)
    assert seen.read == [ReadNote(position.offset, result)]
    assert position.offset > 10


async def test_notes_arrive_in_the_order_in_which_they_were_appended(notes: HandoverLog) -> None:
    appended: list[Note] = [Carrying("r", number, "a") for number in range(2_000)]
    deliveries = [notes.append(0, note) for note in appended]
    seen = Seen()
    notes.follow(0, 0, seen)
    for delivery in deliveries:
        await delivery
    await until(lambda: len(seen.notes) == len(appended), seconds=20)
    assert seen.notes == appended


async def test_a_producer_that_breaks_changes_neither_the_order_nor_loses_a_note(
    settings: Settings, make_topics: TopicMaker
) -> None:
    topic = settings.topics.handovers
    await make_topics(topic, partitions=1, configs={"max.message.bytes": str(LARGEST)})
    async with opened(settings, TopicLimits()) as notes:  # which takes the topic's records to be larger than they are
        result = Result("r", 1, "a", AnalysisEnded(Outcome("x" * 100_000, "stop", "g")))
        appended: list[Note] = [Carrying("r", 1, "a"), result]
        deliveries = [notes.append(0, note) for note in appended]
        while not deliveries[1].done() and len(deliveries) < 2_000:
            appended.append(Carrying("s", len(deliveries), "a"))
            deliveries.append(notes.append(0, appended[-1]))
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            positions = [await delivery for delivery in deliveries]
        assert [position.offset for position in positions] == sorted(position.offset for position in positions)
        seen = Seen()
        notes.follow(0, 0, seen)
        await until(lambda: seen.notes and seen.notes[-1] == appended[-1], seconds=20)
        assert list(dict.fromkeys(seen.notes)) == appended  # one that was sent twice means the same as once


async def test_word_of_an_ended_task_is_heard_by_every_other_process_and_is_no_note(
    notes: HandoverLog, settings: Settings
) -> None:
    followed: list[ReadNote] = []
    heard: dict[str, list[str]] = {"own": [], "other": []}
    async with opened(settings, TopicLimits()) as other:
        notes.hear_ended(heard["own"].append)
        ear = other.hear_ended(heard["other"].append)
        note = other.follow(0, 0, followed.append)
        while not (await ear.caught_up() and await note.caught_up()):
            await asyncio.sleep(0.05)
        await notes.tell_ended("task-1")
        await notes.append(0, Stop("r-1", 1, "enough"))
        await notes.tell_ended("task-2")
        await until(lambda: len(heard["other"]) == 2, seconds=20)
        await until(lambda: followed, seconds=20)
    assert heard == {"own": [], "other": ["task-1", "task-2"]}
    assert [read.note for read in followed] == [Stop("r-1", 1, "enough")]
