"""The handovers topic on a real broker: notes arrive in order, at every follower, from where each one began."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.clock import SystemClock
from service.domain.facts import AnalysisEnded, Outcome
from service.domain.handover import Carrying, Note, Result, Stop
from service.kafka.handover.log import HandoverLog
from service.kafka.ports import PlacedNote
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


@pytest.fixture
async def notes(settings: Settings, make_topics: TopicMaker) -> AsyncIterator[HandoverLog]:
    """A started log of a topic whose records are small."""
    topic = settings.topics.handovers
    await make_topics(topic, partitions=2, configs={"max.message.bytes": str(LARGEST)})
    supervisor = Supervisor(metrics := Metrics())
    made = HandoverLog(
        settings=settings,
        metrics=metrics,
        clock=SystemClock(),
        supervisor=supervisor,
        limits=TopicLimits({topic: LARGEST}),
    )
    await made.start()
    yield made
    await made.close()
    await supervisor.close()


class Seen:
    """What a follower was handed."""

    def __init__(self) -> None:
        self.placed: list[PlacedNote] = []

    def __call__(self, note: PlacedNote) -> None:
        self.placed.append(note)

    @property
    def notes(self) -> list[Note]:
        return [placed.note for placed in self.placed]


async def test_every_follower_is_handed_the_notes_from_where_it_began(notes: HandoverLog) -> None:
    first = [Carrying("r", 1, "a"), Carrying("s", 1, "a")]
    places = [await notes.append(0, note) for note in first]
    all_of, later, other = Seen(), Seen(), Seen()
    notes.follow(0, places[0].offset, all_of)
    await until(lambda: all_of.notes == first, seconds=20)
    following = notes.follow(0, places[1].offset, later)
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
    place = await notes.append(0, result)
    await until(lambda: seen.notes, seconds=20)
    assert seen.placed == [PlacedNote(place.offset, result)]
    assert place.offset > 10


async def test_notes_arrive_in_the_order_in_which_they_were_appended(notes: HandoverLog) -> None:
    appended: list[Note] = [Carrying("r", number, "a") for number in range(2_000)]
    deliveries = [notes.append(0, note) for note in appended]
    seen = Seen()
    notes.follow(0, 0, seen)
    for delivery in deliveries:
        await delivery
    await until(lambda: len(seen.notes) == len(appended), seconds=20)
    assert seen.notes == appended
