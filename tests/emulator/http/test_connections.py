"""Clients that send too slowly or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST

HEAD = b"POST /v1.3/%s HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorOptions(pace=FAST, silence_seconds=0.5)) as emulator:
        yield emulator


async def _dripped(emulator: Emulator, begin: bytes) -> bytes:
    """Send a byte now and then until the other side answers or closes; returns its answer."""
    reader, writer = await asyncio.open_connection(emulator.options.host, emulator.options.port)
    writer.write(begin)
    answer = asyncio.create_task(reader.read())
    try:
        async with asyncio.timeout(15):
            while not answer.done():
                writer.write(b"x")
                await asyncio.wait([answer], timeout=0.05)
        return answer.result()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("begin", [b"", b"GET /v1.3/assets HTTP/1.1\r\nX-Slow: "])
async def test_a_head_that_does_not_end_is_cut_off(emulator: Emulator, begin: bytes) -> None:
    answer = await _dripped(emulator, begin)

    assert answer == b"" or answer.startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize(
    ("path", "kind"), [(b"analyze", b"application/json"), (b"assets", b"multipart/form-data; boundary=B")]
)
async def test_a_body_that_does_not_end_is_refused(emulator: Emulator, path: bytes, kind: bytes) -> None:
    answer = await _dripped(emulator, HEAD % (path, kind))

    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_silent_connection_is_closed(emulator: Emulator) -> None:
    reader, writer = await asyncio.open_connection(emulator.options.host, emulator.options.port)

    assert await asyncio.wait_for(reader.read(), 15) == b""
    writer.close()


async def test_an_answer_that_takes_longer_than_the_allowed_silence_is_not_cut_off(emulator: Emulator) -> None:
    emulator.add_fault(operation="asset_list", do={"delay_seconds": 2})
    reader, writer = await asyncio.open_connection(emulator.options.host, emulator.options.port)
    writer.write(b"GET /v1.3/assets HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nConnection: close\r\n\r\n")

    assert (await asyncio.wait_for(reader.read(), 15)).startswith(b"HTTP/1.1 200")
    writer.close()
