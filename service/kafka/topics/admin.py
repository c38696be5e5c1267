"""Make the topics and compare them with the plan, through the admin client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NotControllerError, for_code

from service.errors import ProcessError
from service.kafka.connecting.connection import broker_unavailable, is_unreachable, new_admin
from service.kafka.connecting.refusals import reading_words
from service.kafka.topics.plan import Finding, TopicPlan, TopicState, findings, limits_of, plan_topics
from service.settings import Settings

_NOT_YET = frozenset({3, 5, 6, 41})  # unknown topic, leader not available, not leader, not controller
_EXISTS = 36
_DENIED = frozenset({29, 31})  # topic authorization failed, cluster authorization failed
_PAUSE_SECONDS = 0.1


class TopicRefused(ProcessError):
    """The broker refused to make a topic."""


@dataclass(frozen=True, slots=True)
class TopicOutcome:
    """What became of one topic; of one that exists nothing is changed."""

    topic: str
    outcome: Literal["created", "exists"]
    partitions: int


async def create_topics(settings: Settings) -> list[TopicOutcome]:
    """Make what is missing and wait until every partition has a leader. Idempotent, also when run twice at once.

    Raises `BrokerUnavailable` when nobody answers, `TopicRefused` with the broker's reason.
    """
    plans = plan_topics(settings)
    async with _admin(settings) as admin:
        # What exists is left alone: to ask for it takes the right to create it.
        described = await admin.describe_topics([plan.name for plan in plans])
        there = {topic["topic"] for topic in described if topic["error_code"] == 0}
        outcomes = {plan.name: "exists" if plan.name in there else await _create(admin, plan) for plan in plans}
        states = await _led(admin, [plan.name for plan in plans])
    return [TopicOutcome(p.name, outcomes[p.name], states[p.name]) for p in plans]


@dataclass(frozen=True, slots=True)
class TopicReport:
    """The topics as they are: how they differ from what the service needs, and the largest record of each."""

    findings: tuple[Finding, ...]
    limits: Mapping[str, int]


async def examine_topics(settings: Settings) -> TopicReport:
    """Read partition counts and configurations. Raises `BrokerUnavailable`.

    Without the right to DESCRIBE_CONFIGS the counts are compared and the limits are left out.
    """
    plans = plan_topics(settings)
    async with _admin(settings) as admin:
        states, denied = await _states(admin, [plan.name for plan in plans])
    return TopicReport(tuple(findings(plans, states, settings.topics.requests, denied)), limits_of(states))


async def check_topics(settings: Settings) -> list[Finding]:
    """How the cluster's topics differ from what the service needs. Raises `BrokerUnavailable`."""
    return list((await examine_topics(settings)).findings)


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = new_admin(settings.kafka)
    try:
        async with asyncio.timeout(settings.kafka.call_timeout_seconds):
            await admin.start()
            yield admin
    except (KafkaError, TimeoutError, OSError) as error:
        if is_unreachable(error):
            raise await broker_unavailable(settings.kafka, error) from None
        raise TopicRefused(f"the broker refused: {reading_words(error)}") from error
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, plan: TopicPlan) -> Literal["created", "exists"]:
    topic = NewTopic(plan.name, plan.partitions, plan.replication, topic_configs=dict(plan.configs))
    while True:
        try:
            response = await admin.create_topics([topic])
        except NotControllerError:  # it has just moved
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        _, code, message = (*response.topic_errors[0], None)[:3]
        if code == 0:
            return "created"
        if code == _EXISTS:
            return "exists"
        if code in _DENIED:
            raise TopicRefused(
                f"the right CREATE on topic {plan.name} is missing, or on the cluster: grant it, or let somebody who "
                "has it run `reelwire topics create`"
            )
        if code not in _NOT_YET:
            raise TopicRefused(f"{plan.name}: {message or for_code(code).description}")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _led(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    """Partition counts, once every partition has a leader: right after creation some calls answer otherwise."""
    while True:
        described = await admin.describe_topics(list(names))
        if all(_has_leaders(topic) for topic in described):
            return {topic["topic"]: len(topic["partitions"]) for topic in described}
        await asyncio.sleep(_PAUSE_SECONDS)


def _has_leaders(topic: Mapping[str, Any]) -> bool:
    if topic["error_code"] != 0 or not topic["partitions"]:
        return False
    return all(part["error_code"] == 0 and part["leader"] >= 0 for part in topic["partitions"])


async def _states(admin: AIOKafkaAdminClient, names: Sequence[str]) -> tuple[dict[str, TopicState], frozenset[str]]:
    """The topics that exist, and those that we may not see. A configuration that we may not read is None."""
    described = await admin.describe_topics(list(names))
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}
    denied = frozenset(topic["topic"] for topic in described if topic["error_code"] in _DENIED)
    if not counts:
        return {}, denied
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in counts]
    configs: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, _message, _kind, name, entries in response.resources:
            if code == 0:
                configs[name] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return {name: TopicState(name, count, configs.get(name)) for name, count in counts.items()}, denied
