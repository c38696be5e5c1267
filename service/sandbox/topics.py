"""Create topics for a test, and wait until they can be used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.errors import for_code

from service.kafka.connecting.connection import new_admin
from service.settings import KafkaSettings

_LEADER_SECONDS = 20.0
_CHECK_SECONDS = 0.02


class TopicMaker:
    """`await TopicMaker(settings)("a", "b", partitions=3, configs={"cleanup.policy": "compact"})`"""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def __call__(self, *names: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        """Create the topics. Returns when every partition has a leader; before, brokers answer NOT_LEADER.

        Raises aiokafka's error for a topic that can't be created, also for one that exists.
        """
        admin = new_admin(self._settings)
        await admin.start()
        try:
            wanted = [NewTopic(name, partitions, 1, topic_configs=dict(configs or {})) for name in names]
            answer = await admin.create_topics(wanted)
            for topic, code, message, *_ in answer.topic_errors:
                if code:
                    raise for_code(code)(f"{topic}: {message}")
            async with asyncio.timeout(_LEADER_SECONDS):
                while not _all_led(await admin.describe_topics(list(names)), partitions):
                    await asyncio.sleep(_CHECK_SECONDS)
        finally:
            await admin.close()


def _all_led(described: list[dict[str, Any]], partitions: int) -> bool:
    return all(
        topic["error_code"] == 0
        and len(topic["partitions"]) == partitions
        and all(part["error_code"] == 0 and part["leader"] >= 0 for part in topic["partitions"])
        for topic in described
    )
