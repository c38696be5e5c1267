"""The HTTP server among strangers: half-open connections, floods, and clients that send or read slowly."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from service.ops.health import Health
from service.ops.server import OpsServer
from service.settings import HttpSettings
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.integration

HALF_OPEN = 1_000
POST = b"POST /webhooks/twelvelabs HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(autouse=True)
def enough_descriptors() -> Iterator[None]:
    """Both ends of the connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.asynccontextmanager
async def serving(*, max_connections: int = 64, seconds: float = 60) -> AsyncIterator[tuple[OpsServer, Metrics]]:
    metrics = Metrics()
    settings = HttpSettings(port=0, max_connections=max_connections, request_timeout_seconds=seconds)
    async with OpsServer(settings, Health(), metrics) as server:
        yield server, metrics


class Strangers:
    """Connections that were opened, and perhaps given some bytes; closed at the end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def come(self, count: int, send: bytes = b"") -> None:
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(send)
            self.open.append((reader, writer))

    async def ended(self) -> int:
        """How many of them the server has closed by now; an answer before that does not count."""
        ended = 0
        for reader, _ in self.open:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.001):
                    while await reader.read(65_536):
                        pass
            ended += reader.at_eof() or reader.exception() is not None
        return ended

    def leave(self) -> None:
        for _, writer in self.open:
            writer.close()


@contextlib.asynccontextmanager
async def strangers(server: OpsServer) -> AsyncIterator[Strangers]:
    those = Strangers(server.port)
    try:
        yield those
    finally:
        those.leave()


async def until(reached: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not reached():
            await asyncio.sleep(0.01)


def ended(metrics: Metrics, reason: str) -> float:
    return metrics.registry.get_sample_value("reelwire_http_connections_ended_total", {"reason": reason}) or 0


def connections(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("reelwire_http_connections") or 0


def descriptors() -> int:
    """How many this process has open, where that can be told."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def ask(server: OpsServer, path: str = "/health/live") -> int:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
        session.get(f"http://127.0.0.1:{server.port}{path}") as response,
    ):
        await response.read()
        return response.status


@pytest.mark.parametrize(
    "sent", [b"", b"GET /health/live HT", b"GET / HTTP/1.1\r\nX: y\r\n", POST + b"Content-Length: 1000\r\n\r\nabc"]
)
async def test_health_answers_while_a_thousand_connections_are_half_open(sent: bytes) -> None:
    before = descriptors()
    async with serving() as (server, metrics), strangers(server) as those:
        await those.come(HALF_OPEN, sent)

        assert [await ask(server) for _ in range(20)] == [200] * 20

        # Where an answer is due, the server may have closed some after it, before they were too many.
        async with asyncio.timeout(30):
            while await those.ended() < HALF_OPEN - 64:
                await asyncio.sleep(0.01)
        assert ended(metrics, "crowded") > 0
        assert connections(metrics) <= 64
    await until(lambda: descriptors() <= before + 5)


@pytest.mark.parametrize("sent", [b"", b"GET /health/live HT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_a_connection_that_brings_no_request_is_closed(sent: bytes) -> None:
    async with serving(seconds=0.2) as (server, metrics), strangers(server) as those:
        await those.come(20, sent)

        await until(lambda: connections(metrics) == 0)
        assert await those.ended() == 20
        assert await ask(server) == 200


async def test_a_byte_now_and_then_does_not_keep_a_connection() -> None:
    async with serving(seconds=0.3) as (server, metrics), strangers(server) as those:
        await those.come(1, b"GET /health/live HTTP/1.1\r\nX: ")
        _, writer = those.open[0]

        async with asyncio.timeout(30):
            while connections(metrics):
                with contextlib.suppress(ConnectionError):
                    writer.write(b"a")
                    await writer.drain()
                await asyncio.sleep(0.02)
        assert ended(metrics, "slow") == 1


async def test_a_client_that_does_not_read_its_answers_is_closed() -> None:
    async with serving(seconds=0.5) as (server, metrics), strangers(server) as those:
        await those.come(1, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 5_000)

        await until(lambda: connections(metrics) == 0)


async def test_a_flood_on_one_connection_is_cut_off() -> None:
    async with serving() as (server, metrics), strangers(server) as those:
        await those.come(1, POST + b"Content-Length: 900000000\r\n\r\n" + b"x" * 4_000_000)

        await until(lambda: connections(metrics) == 0)
        assert await ask(server) == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(500)) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_a_request_that_is_too_large_or_none_is_refused_and_not_logged_as_our_fault(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as (server, _), strangers(server) as those:
        await those.come(1, request_bytes)
        reader, _ = those.open[0]
        async with asyncio.timeout(20):
            answer = await reader.read(65_536)

        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")) or not answer
        assert not caplog.records
        assert await ask(server) == 200


async def test_a_connection_that_is_used_again_and_again_stays() -> None:
    async with serving(max_connections=8, seconds=5) as (server, metrics), strangers(server) as those:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            for _ in range(30):
                await those.come(1)
                async with session.get(f"http://127.0.0.1:{server.port}/health/live") as response:
                    assert response.status == 200
        assert ended(metrics, "crowded") == 23


async def test_the_server_stops_at_once_whoever_is_still_connected() -> None:
    async with serving() as (server, _), strangers(server) as those:
        await those.come(30, b"GET /")
        async with asyncio.timeout(10):
            await server.stop()
        assert await those.ended() == 30
