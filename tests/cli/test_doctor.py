"""`doctor` and `topics` against a real broker and a small HTTP server in the platform's place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.kafka.connecting.connection import client_options
from service.settings import KafkaSettings, TopicSettings
from tests.cli.conftest import Command

pytestmark = pytest.mark.acceptance


@pytest.fixture
async def platform() -> AsyncIterator[dict[str, str]]:
    """A platform that accepts one key; its variables."""

    async def assets(request: web.Request) -> web.Response:
        if request.headers.get("x-api-key") != "good-key":
            return web.json_response({"code": "api_key_invalid", "message": "no"}, status=401)
        return web.json_response({"data": [], "page_info": {}})

    app = web.Application()
    app.add_routes([web.get("/v1.3/assets", assets)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1.3"
    yield {"REELWIRE_PLATFORM__BASE_URL": url, "REELWIRE_PLATFORM__API_KEY": "good-key"}
    await runner.cleanup()


async def test_everything_there_is_ok_but_for_the_missing_member(
    reelwire: Command, topics: TopicSettings, platform: dict[str, str], tmp_path: Path, kafka: KafkaSettings
) -> None:
    for group in ("others-a", "others-b"):
        await _leave_empty(kafka, topics.requests, f"{topics.requests}-{group}")
    result = await reelwire("doctor", "--json", REELWIRE_SOURCES__FILE_ROOTS=str(tmp_path), **platform)
    grades = {line["about"].split(" ")[0]: line["grade"] for line in result.json}
    assert grades == {
        "settings": "ok", "broker": "ok", "rights": "ok", "topics": "ok", "group": "warn", "platform": "ok",
        "file": "ok"
    }, result.out  # fmt: skip
    assert result.code == 0
    assert "start the service: reelwire run" in result.out, result.out


async def _leave_empty(kafka: KafkaSettings, topic: str, group: str) -> None:
    """A group that has committed an offset and has no member."""
    consumer = AIOKafkaConsumer(topic, **client_options(kafka), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer.commit({TopicPartition(topic, 0): 0})
    finally:
        await consumer.stop()


async def test_missing_topics_fail_with_what_to_do(reelwire: Command, platform: dict[str, str]) -> None:
    result = await reelwire("doctor", **platform)
    assert result.code == 1
    assert "the topic does not exist" in result.out
    assert "reelwire topics create" in result.out


async def test_a_refused_key_fails_and_is_not_shown(
    reelwire: Command, topics: TopicSettings, platform: dict[str, str]
) -> None:
    result = await reelwire("doctor", **platform | {"REELWIRE_PLATFORM__API_KEY": "wrong-key"})
    assert result.code == 1
    assert "refuses the key (401)" in result.out
    assert "wrong-key" not in result.out


async def test_a_file_root_that_is_missing_fails(reelwire: Command, topics: TopicSettings) -> None:
    result = await reelwire("doctor", "--no-platform", REELWIRE_SOURCES__FILE_ROOTS="/no/such/root")
    assert result.code == 1
    assert "file root /no/such/root: is not a directory on this machine" in result.out


async def test_nobody_there_is_told_with_3_and_within_seconds(command: Command) -> None:
    nobody = {
        "REELWIRE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "REELWIRE_PLATFORM__BASE_URL": "http://127.0.0.1:9",
        "TWELVELABS_API_KEY": "any-key",
    }
    result = await command("doctor", environment=nobody)
    assert result.code == 3
    assert "no Kafka broker answers at 127.0.0.1:9" in result.out
    assert "http://127.0.0.1:9 does not answer" in result.out


async def test_topics_are_created_once_and_then_checked(reelwire: Command, topics: TopicSettings) -> None:
    again = await reelwire("topics", "create", "--json")
    assert again.code == 0
    assert {line["outcome"] for line in again.json} == {"exists"}
    assert {line["partitions"] for line in again.json} == {topics.partitions}
    check = await reelwire("topics", "check")
    assert check.code == 0
    assert "all topics are as the service needs them" in check.err
    for words in ("create", "check"):
        other = await reelwire("topics", words, REELWIRE_TOPICS__PARTITIONS="7")
        assert other.code == 0
        said = other.out + other.err
        assert f"{topics.partitions} partitions, but REELWIRE_TOPICS__PARTITIONS is 7" in said


async def test_creating_over_topics_that_do_not_fit_says_so(
    reelwire: Command, topic_settings: TopicSettings, make_topics: Any
) -> None:
    await make_topics(topic_settings.jobs, partitions=5)
    result = await reelwire("topics", "create")
    assert result.code == 1
    assert f"{topic_settings.jobs}\texists\t5" in result.out
    assert f"error: {topic_settings.jobs}" in result.err


async def test_topics_that_are_missing_fail_the_check(reelwire: Command) -> None:
    result = await reelwire("topics", "check")
    assert result.code == 1
    assert result.out.startswith("severity\ttopic\tproblem\twhat to do\nerror\t")


async def test_with_a_limit_of_spending_what_is_left_today_is_told(
    reelwire: Command, topics: TopicSettings, platform: dict[str, str]
) -> None:
    cost = {"REELWIRE_COST__DAILY_LIMIT": "2.5", "REELWIRE_COST__PER_MINUTE": "0.03", "REELWIRE_COST__CURRENCY": "EUR"}
    result = await reelwire("doctor", "--json", **platform | cost)
    [found] = [line for line in result.json if line["about"] == "spending"]
    assert (found["grade"], found["detail"]) == (
        "ok",
        "0.00 EUR spent or reserved today (UTC), 2.50 EUR of 2.50 EUR left",
    )
    result = await reelwire("doctor", "--json", **platform)
    assert not [line for line in result.json if line["about"] == "spending"]
