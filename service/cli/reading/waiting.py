"""What is told while nothing else happens: how long it has been, and that nobody is there to take the request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiokafka.errors import KafkaError

from service.cli.exits import CommandError
from service.cli.reading.cluster import admin, coordinator_of, reachable
from service.kafka.connecting.connection import BrokerUnavailable
from service.settings import Settings

ALONE_SECONDS = 5.0
"""When there was no sign for this long, the group is asked whether anybody is in it."""
_TICK_SECONDS = 1.0


async def group_is_empty(settings: Settings) -> bool:
    """Whether the service's group has no member. False when that can't be found out, as without the right to see it."""
    name = settings.kafka.group_id
    try:
        async with admin(settings) as client, reachable(settings):
            coordinator = await coordinator_of(client, name)
            [described] = await client.describe_consumer_groups([name], coordinator)
    except (CommandError, BrokerUnavailable, KafkaError):
        return False
    _, _, _, _, _, members, *_ = described.groups[0]
    return not members


@asynccontextmanager
async def company(
    settings: Settings,
    *,
    untouched: Callable[[], bool],
    tick: Callable[[float], None],
    warn: Callable[[str], None],
) -> AsyncIterator[None]:
    """While the block runs, call `tick` with the seconds since its begin, every second.

    If it is still `untouched` after 5 s, and the group has no member, `warn` is called once with words about that.
    """
    telling = asyncio.create_task(_tell(settings, untouched, tick, warn))
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


async def _tell(
    settings: Settings, untouched: Callable[[], bool], tick: Callable[[float], None], warn: Callable[[str], None]
) -> None:
    began, asked = time.monotonic(), False
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        seconds = time.monotonic() - began
        tick(seconds)
        if not asked and seconds >= ALONE_SECONDS:
            asked = True
            if untouched() and await group_is_empty(settings) and untouched():
                warn(
                    f"nobody took it in {ALONE_SECONDS:g} s: the group {settings.kafka.group_id} has no member. "
                    "Start the service with: reelwire run (REELWIRE_KAFKA__GROUP_ID is the group's name)"
                )
