"""Connections that fail, answers that do not come whole: what was certainly not sent, and what may have been done."""

from __future__ import annotations

import asyncio
import gzip
import resource
import zlib
from collections.abc import Callable

import pytest

from service.platform.client import PlatformClient
from service.platform.errors import (
    NotSent,
    OutcomeUnknown,
)
from service.platform.http.exchange import MAX_BODY_BYTES
from service.telemetry.metrics import Metrics
from tests.platform.conftest import CALL
from tests.platform.scripted import Respond, Scripted, Seen, answer, chunk, hang_up, nonsense, plain
from tests.support.listeners import listening

Make = Callable[..., PlatformClient]


async def test_a_refused_connection_was_certainly_not_sent(metrics: Metrics, make_client: Make) -> None:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    client = make_client(base_url=f"http://127.0.0.1:{port}/v1.3")
    with pytest.raises(NotSent):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert metrics.registry.get_sample_value(
        "reelwire_platform_calls_total", {"operation": "create_task", "status": "not_sent"}
    )


async def test_an_unknown_host_was_certainly_not_sent(make_client: Make) -> None:
    with pytest.raises(NotSent):
        await make_client(base_url="http://nowhere.invalid/v1.3").get_task("t")


async def test_a_failed_tls_handshake_was_certainly_not_sent(platform: Scripted, make_client: Make) -> None:
    client = make_client(base_url=platform.url.replace("http:", "https:"), connect_timeout_seconds=2)
    with pytest.raises(NotSent):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")


async def test_a_handshake_that_never_ends_is_given_up_and_was_not_sent(make_client: Make) -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    async with listening(silent) as listener:
        client = make_client(base_url=f"https://127.0.0.1:{listener.port}/v1.3", connect_timeout_seconds=0.2)
        with pytest.raises(NotSent):
            await client.create_task(CALL, custom_id="c", idempotency_key="k")
        await asyncio.wait_for(gone.wait(), 5)


async def _cut_head(_: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 202 Acc")
    writer.close()


async def _cut_body(_: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{"task_id":')
    writer.close()


async def _reset(_: Seen, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize("respond", [hang_up, _cut_head, _cut_body, _reset, nonsense])
async def test_a_lost_answer_leaves_the_outcome_unknown_and_is_not_asked_for_again(
    platform: Scripted, client: PlatformClient, respond: Respond
) -> None:
    platform.respond = respond
    with pytest.raises(OutcomeUnknown):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert len(platform.seen) == 1


async def test_silence_beyond_the_read_timeout_leaves_the_outcome_unknown(
    platform: Scripted, make_client: Make
) -> None:
    client = make_client(read_timeout_seconds=0.1)
    with pytest.raises(OutcomeUnknown):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    await platform.until(lambda: platform.open_connections == 0)


@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b"[]", b'{"status":"queued"}', b'{"task_id":"t"}'])
async def test_a_success_that_says_nothing_leaves_the_outcome_unknown(
    platform: Scripted, client: PlatformClient, body: bytes
) -> None:
    platform.respond = answer(202, body)
    with pytest.raises(OutcomeUnknown):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")


async def _endless(_: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(chunk(b"x" * 65536))
        await writer.drain()


async def test_an_endless_answer_is_not_held(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = _endless
    with pytest.raises(OutcomeUnknown, match=f"longer than {MAX_BODY_BYTES} bytes"):
        await client.get_task("t")
    await platform.until(lambda: platform.open_connections == 0)


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "deflate", "GZIP"])
async def test_a_small_answer_that_unpacks_to_a_large_one_is_not_held(
    platform: Scripted, client: PlatformClient, name: str
) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS + (16 if "gzip" in name.lower() else 0))
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    assert len(packed) < 1 << 19

    async def respond(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(plain(200, packed, f"Content-Encoding: {name}"))
        await writer.drain()

    platform.respond = respond
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OutcomeUnknown, match="longer than"):
        await client.get_task("t")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 64 << 20


@pytest.mark.parametrize("name", ["br", "zstd", "gzip, gzip", "chaos"])
async def test_a_compression_that_nobody_asked_for_leaves_the_outcome_unknown(
    platform: Scripted, client: PlatformClient, name: str
) -> None:
    platform.respond = answer(200, b"\x01\x02", f"Content-Encoding: {name}")
    with pytest.raises(OutcomeUnknown, match="compressed"):
        await client.get_task("t")


async def test_a_body_that_is_not_compressed_as_it_says_leaves_the_outcome_unknown(
    platform: Scripted, client: PlatformClient
) -> None:
    platform.respond = answer(200, b'{"task_id":"t","status":"queued"}', "Content-Encoding: gzip")
    with pytest.raises(OutcomeUnknown, match="decompressed"):
        await client.get_task("t")


async def test_a_server_that_compresses_unasked_is_understood(platform: Scripted, client: PlatformClient) -> None:
    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(plain(200, gzip.compress(b'{"task_id":"t","status":"queued"}'), "Content-Encoding: gzip"))
        await writer.drain()

    platform.respond = respond
    assert (await client.get_task("t")).status == "queued"
    assert platform.seen[0].headers["accept-encoding"] == "identity"
