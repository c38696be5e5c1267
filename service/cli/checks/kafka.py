"""The checks of `doctor` on Kafka: broker and credentials, topics, the group and its lag."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from service.cli.checks.deployments import check_deployments
from service.cli.checks.finding import Finding, Grade
from service.cli.checks.hidden_requests import examine_hidden
from service.cli.checks.spending import check_spending
from service.cli.exits import CommandError
from service.cli.reading.cluster import admin, coordinator_of, reachable
from service.cli.reading.topic_reader import TopicReader
from service.cli.words import in_words
from service.errors import ReelwireError
from service.kafka.connecting.connection import BrokerUnavailable
from service.kafka.rights.look import RightsLook
from service.kafka.topics.admin import TopicRefused, check_topics
from service.settings import Settings

SIDE_SECONDS = 10.0
"""Longest time for a check that the start of the service does not depend on."""


async def check_kafka(settings: Settings) -> list[Finding]:
    """All findings about Kafka. If no broker answers, that is the only finding."""
    servers = settings.kafka.bootstrap_servers
    try:
        async with admin(settings) as client, reachable(settings):
            cluster = await client.describe_cluster()
    except BrokerUnavailable as error:
        return [Finding("unreachable", "broker", error.problem, error.todo)]
    except CommandError as error:
        todo = "check REELWIRE_KAFKA__SECURITY_PROTOCOL, REELWIRE_KAFKA__SASL_* and REELWIRE_KAFKA__SSL_*"
        return [Finding("unreachable", "broker", str(error), todo)]
    found = [Finding("ok", "broker", f"{servers} answers, {len(cluster['brokers'])} broker(s)")]
    found += await _rights(settings)
    topics = await _topics(settings)
    found += topics
    if not any(finding.grade == "fail" for finding in topics):
        found.append(await _group(settings))
        found += await beside("hidden requests", examine_hidden(settings))
        found += await beside("spending", check_spending(settings))
        found += await beside("other deployments", check_deployments(settings))
    return found


async def beside(about: str, check: Awaitable[list[Finding]], seconds: float = SIDE_SECONDS) -> list[Finding]:
    """The findings of a check beside the main ones. If it fails or takes longer than `seconds`: one warning."""
    try:
        async with asyncio.timeout(seconds):
            return await check
    except TimeoutError:
        detail = f"not known: the check did not end within {seconds:g} s"
    except (ReelwireError, KafkaError, OSError) as error:
        detail = f"not known: {in_words(error)}"
    return [Finding("warn", about, detail, "run it again; all other checks hold")]


async def _rights(settings: Settings) -> list[Finding]:
    """The rights that are missing. They are those of whoever runs this, with the credentials of the service."""
    look = RightsLook(settings)
    try:
        missing = await look.missing()
    except BrokerUnavailable as error:
        return [Finding("unreachable", "rights", str(error), "look at the broker's log")]
    finally:
        await look.close()
    if not missing:
        return [Finding("ok", "rights", "all that the service needs are there")]
    todo = "grant it: `reelwire topics acls` prints the command"
    grade: dict[bool, Grade] = {True: "fail", False: "warn"}
    return [Finding(grade[right.required], "rights", f"the right {right} is missing", todo) for right in missing]


async def _topics(settings: Settings) -> list[Finding]:
    try:
        differences = await check_topics(settings)
    except (BrokerUnavailable, TopicRefused, KafkaError) as error:
        return [Finding("unreachable", "topics", in_words(error), "look at the broker's log")]
    if not differences:
        return [Finding("ok", "topics", "all are there, with partitions and sizes as they should be")]
    return [
        Finding("fail" if d.severity == "error" else "warn", f"topic {d.topic}", d.problem, d.advice)
        for d in differences
    ]


async def _group(settings: Settings) -> Finding:
    name, about = settings.kafka.group_id, f"group {settings.kafka.group_id}"
    async with admin(settings) as client:
        try:
            async with reachable(settings):
                coordinator = await coordinator_of(client, name)
                [described] = await client.describe_consumer_groups([name], coordinator)
                committed = await client.list_consumer_group_offsets(name, coordinator)
        except (CommandError, BrokerUnavailable) as error:
            return Finding(
                "warn", about, f"its state can't be read: {in_words(error)}", "check the rights of our credentials"
            )
    _, _, state, _, _, members, *_ = described.groups[0]
    lag = await _lag(settings, committed)
    if not members:
        waiting = f"; {lag} request(s) are waiting" if lag else ""
        return Finding("warn", about, f"no member{waiting}", "start the service: reelwire run")
    if state != "Stable":
        return Finding("warn", about, f"{len(members)} member(s), {state}", "wait for the rebalance to end")
    return Finding("ok", about, f"{len(members)} member(s), lag {lag}")


async def _lag(settings: Settings, committed: dict[TopicPartition, Any]) -> int:
    """How many requests are not accepted yet. Without a committed offset, all records of the partition count."""
    async with TopicReader(settings, [settings.topics.requests], lambda record: record) as reader:
        ends, beginnings = await reader.ends(), await reader.beginnings()
    at = {tp: committed[tp].offset for tp in ends if tp in committed and committed[tp].offset >= 0}
    return sum(max(0, end - max(at.get(tp, 0), beginnings[tp])) for tp, end in ends.items())
