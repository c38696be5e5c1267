"""What a fault does to the lines of a stream."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.emulator.conftest import Client, until


async def _partial(client: Client, asset: str, **do: Any) -> tuple[bytes, bool]:
    """What came of a stream, and whether it broke off."""
    await client.add_fault("analyze_stream", **do)
    body = {"video": {"type": "asset_id", "asset_id": asset}, "prompt": "Go on."}
    received = b""
    request = client.session.post(client.emulator.base_url + "/analyze", json=body, headers={"x-api-key": "k"})
    async with request as response:
        try:
            async for chunk in response.content.iter_any():
                received += chunk
        except aiohttp.ClientPayloadError:
            return received, True
    return received, False


async def test_a_stream_is_cut_in_the_middle_of_a_line(client: Client, asset: str) -> None:
    received, broken = await _partial(client, asset, fragments=50, cut_after=5)
    *whole, half = received.split(b"\n")

    assert broken
    assert len(whole) == 6
    assert half.startswith(b'{"event_type"')
    assert not half.endswith(b"}")
    assert client.emulator.stats()["streams"]["cut"] == 1


async def test_a_stream_ends_properly_without_its_end_event(client: Client, asset: str) -> None:
    received, broken = await _partial(client, asset, fragments=50, end_after=5)

    assert not broken
    assert received.count(b"\n") == 6
    assert b"stream_end" not in received


async def test_extra_lines_are_slipped_in_where_asked(client: Client, asset: str) -> None:
    received, _ = await _partial(client, asset, fragments=20, unknown_after=2, duplicate_after=5, garbage_after=9)
    lines = received.split(b"\n")

    assert b"heartbeat" in lines[3]
    assert lines[6] == lines[7]
    assert lines[12] == b'{"event_type":"text_gen'
    assert b"stream_end" in lines[-2]


async def test_an_error_object_ends_the_stream(client: Client, asset: str) -> None:
    received, broken = await _partial(client, asset, fragments=20, error_after=3, code="boom")
    lines = received.strip().split(b"\n")

    assert (broken, len(lines)) == (False, 5)
    assert lines[-1].startswith(b'{"code":"boom"')


async def test_raw_separators_stand_inside_the_texts(client: Client, asset: str) -> None:
    received, _ = await _partial(client, asset, raw_separators=True)

    assert "\u2028".encode() in received
    assert "\u0085".encode() in received


async def test_a_stalled_stream_is_left_by_its_client(client: Client, asset: str) -> None:
    await client.add_fault("analyze_stream", stall_after=3)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.analyze(asset), 0.3)

    async def noticed() -> bool:
        return bool(client.emulator.stats()["streams"]["disconnected"])

    assert await until(noticed)
