"""The only broker dies: readiness tells so within ten seconds, and tells when it is over."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.request_producer import RequestProducer
from tests.harness.stage import Stage
from tests.kafka.moving_broker import MovingBroker

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

TRUTH_SECONDS = 10.0


@pytest.fixture
async def moving_broker(tmp_path: Path) -> AsyncIterator[MovingBroker]:
    async with MovingBroker(tmp_path / "broker") as broker:
        yield broker


@pytest.mark.parametrize("bootstrap", ["stays", "vanishes"])
async def test_a_dead_broker_is_told_within_ten_seconds_and_found_again_wherever_it_is(
    moving_broker: MovingBroker, make_own_stage: Callable[..., Stage], bootstrap: str
) -> None:
    loop = asyncio.get_running_loop()
    servers = moving_broker.bootstrap_servers
    with ThreadPoolExecutor(1) as thread:
        stage = await loop.run_in_executor(thread, lambda: make_own_stage(bootstrap_servers=servers))
    await stage.until_page("health/ready", lambda page: page[0] == 200)

    killed = loop.time()
    moving_broker.kill()
    if bootstrap == "vanishes":
        await moving_broker.forwarder.stop()
    _, page = await stage.until_page("health/ready", lambda page: "no Kafka broker has answered for" in page[1])
    assert loop.time() - killed < TRUTH_SECONDS
    assert (await stage.system.get("health/ready"))[0] == 503
    assert servers in page
    assert (await stage.system.get("health/live"))[0] == 200

    if bootstrap == "vanishes":
        await moving_broker.forwarder.start()
    await moving_broker.come_back_elsewhere()
    await stage.until_page("health/ready", lambda page: page[0] == 200)
    # What is tried here is the service: a client that knows only the addresses of before is none of its business.
    stage.request_producer = RequestProducer(stage.system.settings())
    answer = await stage.answer(stage.analyze(stage.name("after"), stage.clip(), mode="stream"))
    assert answer["type"] == "completed"
    assert stage.system.service().said("bootstrapped_again")
    assert stage.system.service().said("service_ready")


async def test_a_broker_that_keeps_its_connections_and_answers_nothing_is_told_as_well(
    moving_broker: MovingBroker, make_own_stage: Callable[..., Stage]
) -> None:
    loop = asyncio.get_running_loop()
    servers = moving_broker.bootstrap_servers
    with ThreadPoolExecutor(1) as thread:
        stage = await loop.run_in_executor(thread, lambda: make_own_stage(bootstrap_servers=servers))
    await stage.until_page("health/ready", lambda page: page[0] == 200)
    process = moving_broker.broker._process
    assert process is not None
    frozen = loop.time()
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        # The heartbeats may tell first.
        await stage.until_page("health/ready", lambda page: page[0] == 503)
        await stage.until_page("health/ready", lambda page: "no Kafka broker has answered for" in page[1])
        assert loop.time() - frozen < TRUTH_SECONDS
    finally:
        os.killpg(process.pid, signal.SIGCONT)
    await stage.until_page("health/ready", lambda page: page[0] == 200)
