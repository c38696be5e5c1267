"""The handovers topic while its broker is away: nothing is lost, nothing is there twice, and nobody is told lies."""

from __future__ import annotations

import asyncio

import pytest

from service.domain.handover import Carrying, Note
from service.kafka.topics.admin import create_topics
from service.kafka.topics.record_limits import TopicLimits
from service.sandbox.broker.local import LocalBroker
from service.settings import Settings, TopicSettings, load_settings
from tests.kafka.handover.test_log import Seen, opened
from tests.support.waiting import until

pytestmark = pytest.mark.integration

CALL_LIMIT_SECONDS = 2.0


async def test_notes_wait_for_a_broker_that_is_away_and_arrive_once_and_in_order(topic_settings: TopicSettings) -> None:
    async with LocalBroker() as broker:
        kafka = load_settings().kafka.model_copy(
            update={
                "bootstrap_servers": broker.bootstrap_servers,
                "call_timeout_seconds": CALL_LIMIT_SECONDS,
                "request_timeout_ms": 1_500,
            }
        )
        settings: Settings = load_settings(kafka=kafka, topics=topic_settings)
        await create_topics(settings)
        async with opened(settings, TopicLimits()) as notes:
            seen = Seen()
            following = notes.follow(0, 0, seen)
            appended: list[Note] = [Carrying("r", 1, "a")]
            await notes.append(0, appended[0])
            await until(lambda: seen.notes == appended, seconds=20)
            broker.kill()
            appended += [Carrying("s", attempt, "a") for attempt in range(1, 101)]
            deliveries = [notes.append(0, note) for note in appended[1:]]
            away_since = asyncio.get_running_loop().time()
            # Longer than a call may take: every limit in between has passed.
            while asyncio.get_running_loop().time() - away_since < 2 * CALL_LIMIT_SECONDS:
                appended.append(Carrying("r", len(appended) + 1, "a"))
                deliveries.append(notes.append(0, appended[-1]))
                assert not await following.caught_up()
            assert not any(delivery.done() for delivery in deliveries)
            late = Seen()
            notes.follow(0, 0, late)
            await broker.start()
            async with asyncio.timeout(60):
                positions = [await delivery for delivery in deliveries]
            assert [position.offset for position in positions] == list(range(1, len(positions) + 1))
            await until(lambda: len(seen.notes) == len(appended) and len(late.notes) == len(appended), seconds=30)
            assert seen.notes == appended
            assert late.notes == appended
            async with asyncio.timeout(30):
                while not await following.caught_up():
                    await asyncio.sleep(0)
