"""Wait until a broker answers a client."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from aiokafka.errors import KafkaError

from service.kafka.connecting.connection import new_admin
from service.sandbox.errors import BrokerError
from service.settings import KafkaSettings
from service.words import in_words

_KNOCK_SECONDS = 0.05
_PATIENCE_MS = 2_000
# A container's port is open before the broker listens; then a new connection is closed at once.
_STAYS_SECONDS = 0.1


async def wait_until_it_answers(
    settings: KafkaSettings, *, timeout_seconds: float, still_alive: Callable[[], bool] = lambda: True
) -> None:
    """Return when the cluster lists its nodes. Raises `BrokerError` at the deadline, or if the broker has ended."""
    servers = settings.bootstrap_servers
    deadline = time.monotonic() + timeout_seconds
    reason = "no answer"
    while still_alive():
        left = deadline - time.monotonic()
        if left <= 0:
            raise BrokerError(f"{servers} gave no answer within {timeout_seconds:g} s: {reason}")
        try:
            async with asyncio.timeout(left):
                if await _listens(servers) and await _answers(settings):
                    return
        except (KafkaError, OSError, TimeoutError) as error:
            reason = in_words(error)
        await asyncio.sleep(_KNOCK_SECONDS)
    raise BrokerError(f"the broker at {servers} ended before it answered")


async def _listens(bootstrap_servers: str) -> bool:
    # Try a plain connection first: aiokafka would log every refused one.
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            continue
        try:
            async with asyncio.timeout(_STAYS_SECONDS):
                await reader.read(
                    1
                )  # a broker sends nothing unless asked, so this returns only if the connection is closed
        except TimeoutError:
            return True
        except OSError:
            continue
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    return False


async def _answers(settings: KafkaSettings) -> bool:
    admin = new_admin(settings, request_timeout_ms=_PATIENCE_MS)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        return bool(cluster["brokers"])
    finally:
        await admin.close()
