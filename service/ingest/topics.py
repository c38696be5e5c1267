"""Whether the topics are there that `reelwire ingest` reads and writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.errors import KafkaError

from service.errors import ProcessError
from service.kafka.connecting.connection import broker_unavailable, is_unreachable, new_admin
from service.kafka.connecting.refusals import reading_words
from service.settings import Settings

_DENIED = 29


async def check_topics(settings: Settings, sources: Iterable[str]) -> None:
    """Raise `ProcessError` that names the topics that are missing, `BrokerUnavailable` when nobody answers."""
    ours = (settings.topics.requests, settings.topics.dead_letters)
    wanted = [*ours, *sources]
    admin = new_admin(settings.kafka)
    try:
        async with asyncio.timeout(settings.kafka.call_timeout_seconds):
            await admin.start()
            described = await admin.describe_topics(wanted)
    except (KafkaError, TimeoutError, OSError) as error:
        if is_unreachable(error):
            raise await broker_unavailable(settings.kafka, error) from None
        raise ProcessError(f"the topics are unknown: {reading_words(error)}") from error
    finally:
        await admin.close()
    codes = {topic["topic"]: topic["error_code"] for topic in described}
    denied = [name for name in wanted if codes.get(name) == _DENIED]
    if denied:
        raise ProcessError(
            f"the right DESCRIBE on topic {', '.join(denied)} is missing, which is a part of READ and WRITE; grant it "
            "to the user of this command"
        )
    missing = [name for name in wanted if codes.get(name, 3) != 0]
    if any(name in ours for name in missing):
        raise ProcessError(f"there is no topic {', '.join(missing)}; create ours with: reelwire topics create")
    if missing:
        raise ProcessError(
            f"there is no topic {', '.join(missing)}, which the rules name under `topics`; let the sender of the "
            "notifications create it, or correct the name"
        )
