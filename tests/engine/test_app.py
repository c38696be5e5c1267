"""The service's start: what stops it, and that it can be stopped."""

from __future__ import annotations

import asyncio

import pytest

from service.app import Service
from service.errors import ProcessError, SettingsError
from service.settings import KafkaSettings, TopicSettings, load_settings

pytestmark = pytest.mark.integration


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWELVELABS_API_KEY", "REELWIRE_PLATFORM__API_KEY", "REELWIRE_PLATFORM__API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="REELWIRE_PLATFORM__API_KEY"):
        Service(load_settings())


async def test_missing_topics_are_named(kafka: KafkaSettings, topic_settings: TopicSettings) -> None:
    service = Service(load_settings(kafka=kafka, topics=topic_settings, platform={"api_key": "key"}, http={"port": 0}))
    with pytest.raises(ProcessError, match=topic_settings.requests.replace(".", r"\.")):
        await asyncio.wait_for(service.run(), 60)


async def test_a_service_that_waits_for_its_broker_can_be_stopped() -> None:
    nobody = {"bootstrap_servers": "127.0.0.1:1"}
    service = Service(load_settings(kafka=nobody, platform={"api_key": "key"}, http={"port": 0}))
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(60):
        while service._health._conditions.get("kafka") is None and not running.done():
            await asyncio.sleep(0.01)
        service.stop()
        await running
