"""The console as a process: without a broker, without its port, and at its end."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from service.console.feed.topic_feed import TopicFeed
from service.console.server import Console
from service.console.state import new_state
from service.errors import SettingsError
from service.kafka.ports import InRecord
from service.sandbox.addresses import HOST, free_ports
from service.settings import ConsoleSettings, KafkaSettings, Settings
from tests.console.conftest import TOKEN, ConsoleUnderTest
from tests.console.wire import Wire

pytestmark = pytest.mark.integration


def settings_of(**console: object) -> Settings:
    """Where no broker is."""
    (nowhere,) = free_ports(1)
    kafka = KafkaSettings(bootstrap_servers=f"{HOST}:{nowhere}")
    return Settings(kafka=kafka, console=ConsoleSettings.model_validate({"port": 0, **console}))


async def test_without_a_broker_the_page_is_served_and_readiness_says_why() -> None:
    async with (
        Console(settings_of()) as console,
        httpx.AsyncClient(base_url=f"http://{HOST}:{console.port}", timeout=20) as client,
    ):
        assert (await client.get("/api/jobs")).json()["jobs"] == []
        async with asyncio.timeout(20):
            while "no Kafka broker answers at" not in (answer := await client.get("/health/ready")).text:
                await asyncio.sleep(0.05)
        assert answer.status_code == 503
        assert "REELWIRE_KAFKA__BOOTSTRAP_SERVERS" in answer.text
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/stream/some?token=x")).status_code == 404  # nothing signs tokens
        refused = await client.post("/api/jobs/some/cancel", headers={"Origin": str(client.base_url)})
        assert refused.status_code == 403
        assert "REELWIRE_CONSOLE__TOKEN" in refused.json()["error"]


async def test_wrong_tokens_count_for_who_is_connected_whatever_a_header_says() -> None:
    async with Console(settings_of(token=TOKEN)) as console:
        url = f"http://{HOST}:{console.port}"
        async with httpx.AsyncClient(base_url=url, timeout=20, headers={"Origin": url}) as client:
            found = []
            for number in range(11):
                pretended = {"X-Forwarded-For": f"203.0.113.{number}"}
                answer = await client.post("/api/session", json={"token": "wrong"}, headers=pretended)
                found.append(answer.status_code)
    assert found == [403] * 10 + [429]


async def test_a_port_in_use_is_named() -> None:
    taken = socket.create_server((HOST, 0))
    with taken, pytest.raises(SettingsError, match="REELWIRE_CONSOLE__PORT: port"):
        await Console(settings_of(port=taken.getsockname()[1])).__aenter__()


async def test_a_record_that_no_rule_foresaw_is_passed_over() -> None:
    settings = settings_of()
    state = new_state(settings)
    feed = TopicFeed(settings, state.hub.board, state.letters, state.health.set)
    deep = b'{"request_id":"a","type":"accepted","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    for topic in (settings.topics.progress, settings.topics.completions, settings.topics.jobs, "unknown"):
        for value in (deep, b"", None, b"\xff", b"7", b'{"request_id":"a","type":"completed","time":1e999}'):
            feed._take(InRecord(topic, 0, 0, 0, b"a", value, (("ce_id", None),)))
    assert state.hub.board.live == {}


async def test_sigterm_ends_open_streams_and_the_process_with_exit_code_0(
    console: ConsoleUnderTest, tmp_path: Path
) -> None:
    own = ConsoleUnderTest(console.stage, tmp_path)
    await own.start()
    watching = asyncio.create_task(own.all_events("/api/live"))
    await own.until("/health/live", lambda body: body["status"] == "ok")
    assert await own.program.stop() == 0
    assert all(event.event == "rows" for event in await watching)


async def test_a_text_that_was_let_go_of_is_read_from_the_topic_again(console: ConsoleUnderTest, wire: Wire) -> None:
    settings = console.stage.system.settings()
    first = console.stage.name("first")
    await wire.completed(first, f"{first} " + "x" * 700_000)
    await wire.completed(console.stage.name("second"), "y" * 700_000)
    small = settings.model_copy(update={"console": ConsoleSettings(port=0, text_mib=1)})
    async with (
        Console(small) as own,
        httpx.AsyncClient(base_url=f"http://{HOST}:{own.port}", timeout=20) as client,
    ):
        async with asyncio.timeout(30):
            while (await client.get("/health/ready")).status_code != 200:
                await asyncio.sleep(0.05)
        entry = own.state.hub.board.find(first)
        assert entry is not None
        assert entry.end is not None
        assert entry.end.raw is None
        assert (await client.get(f"/api/jobs/{first}")).json()["text"].startswith(f"{first} xxx")
