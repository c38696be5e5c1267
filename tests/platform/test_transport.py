"""The short way to the bytes of a stream, below httpx (decision 12): that it is there, and what happens without it."""

from __future__ import annotations

import aiohttp
import httpx
import pytest
from httpx_aiohttp import AiohttpTransport

from service.platform import transport
from service.platform.client import PlatformClient
from service.platform.transport import READER, open_client
from service.platform.values import StreamEnded, StreamEvent, StreamStarted, StreamText
from tests.platform.conftest import CALL
from tests.platform.scripted import Scripted, chunks
from tests.platform.test_stream import END, START, line


async def test_httpx_aiohttp_still_hands_out_the_reader_of_a_response(platform: Scripted) -> None:
    platform.respond = chunks(b"abc")
    async with open_client(platform.url, {}) as client, client.stream("GET", "x") as response:
        reader = response.extensions.get(READER)
        assert isinstance(reader, aiohttp.StreamReader), (
            "httpx-aiohttp keeps its response elsewhere now: streams still work, but each network read costs more; "
            "see docs/decisions/0012-streams-are-read-below-httpx.md"
        )
        assert await reader.readany() == b"abc"


@pytest.mark.parametrize("short", [True, False])
async def test_a_stream_is_the_same_with_and_without_it(
    platform: Scripted, client: PlatformClient, monkeypatch: pytest.MonkeyPatch, *, short: bool
) -> None:
    handed_out: list[bool] = []
    if not short:
        monkeypatch.setattr(transport._Transport, "handle_async_request", AiohttpTransport.handle_async_request)

    async def look(response: httpx.Response) -> None:
        handed_out.append(READER in response.extensions)

    client._analyses[0].event_hooks = {"response": [look]}
    platform.respond = chunks(START, line("a\u2028"), line("é") + line("c"), END)
    events: list[StreamEvent] = []
    async with client.stream(CALL) as reads:
        async for found in reads:
            events += found
    assert handed_out == [short]
    assert events[0] == StreamStarted("g")
    assert "".join(event.text for event in events if isinstance(event, StreamText)) == "a\u2028éc"
    assert events[-1] == StreamEnded("stop", "g", 2)
