"""The short way to the bytes of a stream, below httpx (decision 12): that it is there, and what happens without it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable

import aiohttp
import httpx
import pytest
from httpx_aiohttp import AiohttpTransport

from service.errors import SettingsError
from service.platform.client import PlatformClient
from service.platform.errors import NotSent, PlatformError
from service.platform.http import transport
from service.platform.http.transport import READER, open_client
from service.platform.values import StreamEnded, StreamEvent, StreamStarted, StreamText
from tests.platform.conftest import CALL
from tests.platform.scripted import Scripted, answer, chunks, hang, hang_up
from tests.platform.test_stream import END, START, line
from tests.support.listeners import listening


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


async def refused_by_proxy(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_a_proxys_password_is_in_no_message(
    make_client: Callable[..., PlatformClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(refused_by_proxy) as listener:
        port = listener.port
        for scheme in ("http", "https"):
            monkeypatch.setenv(f"{scheme}_proxy", f"http://user:hunter2@127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        for address in ("https://platform.invalid/v1.3", "http://platform.invalid/v1.3"):
            with pytest.raises(PlatformError) as caught:
                await make_client(base_url=address).get_task("t")
            assert "hunter2" not in "".join(traceback.format_exception(caught.value))
            assert "407" in str(caught.value)
    with pytest.raises(NotSent) as refused:
        await make_client(base_url="https://platform.invalid/v1.3").get_task("t")
    assert str(refused.value) == f"the platform can't be reached: the proxy at 127.0.0.1:{port}: connection refused"


@pytest.mark.parametrize("proxy", ["http://user:123/x@127.0.0.1:9", "http://user:hunter2/x@127.0.0.1:9", "http://"])
def test_a_proxy_whose_password_would_be_read_as_a_port_is_refused(
    make_client: Callable[..., PlatformClient], monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(SettingsError) as caught:
        make_client(base_url="http://platform.invalid/v1.3")
    assert str(caught.value).startswith("HTTP_PROXY is no address")
    assert "123" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_can_not_be_reached_is_named(make_client: Callable[..., PlatformClient], host: str) -> None:
    server = await asyncio.start_server(refused_by_proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(NotSent) as caught:
        await make_client(base_url=f"http://{host}:{port}/v1.3").get_task("t")
    assert str(caught.value) == f"the platform can't be reached: {host}:{port}: connection refused"


async def test_a_lost_connection_is_told_in_words(
    platform: Scripted, make_client: Callable[..., PlatformClient]
) -> None:
    client = make_client(read_timeout_seconds=0.2)
    told = []
    for respond in (hang, hang_up, answer(200, b"x", "Transfer-Encoding: nonsense")):
        platform.respond = respond
        with pytest.raises(PlatformError) as caught:
            await client.get_task("t")
        told.append(str(caught.value))
    with pytest.raises(NotSent) as unknown:
        await make_client(base_url="http://nowhere.invalid/v1.3").get_task("t")
    told.append(str(unknown.value))
    assert not [words for words in told if any(mark in words for mark in ("Error", "<", "(", "http:"))], told
