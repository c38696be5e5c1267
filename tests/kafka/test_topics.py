from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import NotControllerError

from contracts.topics import Role
from service.kafka.connecting.connection import BrokerUnavailable
from service.kafka.topics.admin import TopicRefused, check_topics, create_topics
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    return load_settings(kafka=kafka, topics=topic_settings)


async def test_created_topics_are_as_the_service_needs_them(settings: Settings) -> None:
    missing = await check_topics(settings)
    assert len(missing) == len(Role)
    outcomes = await create_topics(settings)
    assert [outcome.outcome for outcome in outcomes] == ["created"] * len(Role)
    assert {outcome.partitions for outcome in outcomes} == {2}
    assert await check_topics(settings) == []


async def test_creating_twice_changes_nothing_and_says_so(settings: Settings) -> None:
    await create_topics(settings)
    assert [outcome.outcome for outcome in await create_topics(settings)] == ["exists"] * len(Role)


async def test_two_creations_at_once_both_succeed(settings: Settings) -> None:
    first, second = await asyncio.gather(create_topics(settings), create_topics(settings))
    for one, other in zip(first, second, strict=True):
        assert {one.outcome, other.outcome} == {"created", "exists"}


async def test_a_count_that_disagrees_is_reported_with_both_numbers(settings: Settings, make_topics: Any) -> None:
    await make_topics(settings.topics.fragments, partitions=3)
    await create_topics(settings)
    findings = [f for f in await check_topics(settings) if "partitions" in f.problem]
    assert [(f.severity, f.topic, f.problem) for f in findings] == [
        ("error", settings.topics.fragments, f"3 partitions, but {settings.topics.requests} has 2")
    ]


async def test_what_a_foreign_topic_lacks_is_found(settings: Settings, make_topics: Any) -> None:
    await make_topics(settings.topics.jobs, partitions=2)
    await create_topics(settings)
    problems = [(f.severity, f.problem) for f in await check_topics(settings) if f.topic == settings.topics.jobs]
    assert problems == [
        ("error", "cleanup.policy is delete, not compact"),
        (
            "warning",
            "max.message.bytes is 1048588, less than 8388608: a larger request goes to the dead letters, too_large",
        ),
    ]


async def test_a_refusal_gives_the_brokers_reason(kafka: KafkaSettings, topic_settings: TopicSettings) -> None:
    impossible = load_settings(kafka=kafka, topics=topic_settings.model_copy(update={"replication": 9}))
    with pytest.raises(TopicRefused, match="replication factor"):
        await create_topics(impossible)


async def test_a_controller_that_moves_is_asked_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    create = AIOKafkaAdminClient.create_topics
    refusals = iter([NotControllerError(), NotControllerError()])

    async def moving(self: AIOKafkaAdminClient, topics: Any) -> Any:
        refusal = next(refusals, None)
        if refusal is not None:
            raise refusal
        return await create(self, topics)

    monkeypatch.setattr(AIOKafkaAdminClient, "create_topics", moving)
    assert len(await create_topics(settings)) == len(Role)


@pytest.mark.parametrize("call", [create_topics, check_topics])
async def test_a_broker_that_does_not_answer_is_one_clear_error(settings: Settings, call: Any) -> None:
    nobody = settings.model_copy(
        update={"kafka": settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})}
    )
    with pytest.raises(BrokerUnavailable) as caught:
        await call(nobody)
    assert str(caught.value) == (
        "no Kafka broker answers at 127.0.0.1:1: no connection could be made; check REELWIRE_KAFKA__BOOTSTRAP_SERVERS "
        "and REELWIRE_KAFKA__SECURITY_PROTOCOL, and that a broker runs there"
    )
    assert caught.value.__suppress_context__
