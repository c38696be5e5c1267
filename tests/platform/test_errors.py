from __future__ import annotations

import asyncio
import gzip
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from service.errors import SettingsError
from service.platform.client import PlatformClient
from service.platform.errors import (
    Conflict,
    NotAuthorized,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    Rejected,
    ServerFailed,
)
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics
from tests.platform.conftest import CALL, KEY
from tests.platform.scripted import Respond, Scripted, Seen, answer, hang_up, plain

Make = Callable[..., PlatformClient]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"code": "parameter_invalid", "message": "bad"}, "parameter_invalid", "bad"),
        ({"error": {"code": "parameter_invalid", "message": "bad", "details": {}}}, "parameter_invalid", "bad"),
        ({"code": 17, "message": {"a": 1}}, "17", '{"a": 1}'),
        (b"", None, None),
        (b"<html>Bad Gateway</html>", None, "<html>Bad Gateway</html>"),
        (b"[1]", None, "[1]"),
        (b"null", None, None),
        ({}, None, None),
        (b"\xff\xfe", None, "\ufffd\ufffd"),
    ],
)
async def test_every_shape_of_an_error_body_is_understood(
    platform: Scripted, client: PlatformClient, body: Any, code: str | None, message: str | None
) -> None:
    platform.respond = answer(422, body)
    with pytest.raises(Rejected) as caught:
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    said = caught.value.answer
    assert said is not None
    assert (said.status, said.code, said.message) == (422, code, message)


@pytest.mark.parametrize(
    ("status", "kind", "may_have_happened"),
    [
        (400, Rejected, False),
        (404, NotFound, False),
        (408, ServerFailed, False),
        (409, Conflict, False),
        (413, Rejected, False),
        (425, ServerFailed, False),
        (401, NotAuthorized, False),
        (403, NotAuthorized, False),
        (429, RateLimited, False),
        (500, ServerFailed, True),
        (503, ServerFailed, True),
        (302, ServerFailed, False),
        (307, ServerFailed, False),
    ],
)
async def test_the_status_decides_which_error_it_is(
    platform: Scripted, client: PlatformClient, status: int, kind: type[PlatformError], *, may_have_happened: bool
) -> None:
    platform.respond = answer(status, b"", "Location: http://127.0.0.1:9/elsewhere", "Retry-After: 0")
    with pytest.raises(PlatformError) as caught:
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert type(caught.value) is kind
    assert caught.value.may_have_happened is may_have_happened
    assert len(platform.seen) == 1  # neither repeated nor redirected


async def test_a_message_of_any_length_is_cut(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(500, b"a word. " * 100_000)
    with pytest.raises(ServerFailed) as caught:
        await client.get_task("t")
    assert caught.value.answer is not None
    assert caught.value.answer.message is not None
    assert len(caught.value.answer.message) == 2000


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

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = make_client(base_url=f"https://127.0.0.1:{port}/v1.3", connect_timeout_seconds=0.2)
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


async def _nonsense(_: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("respond", [hang_up, _cut_head, _cut_body, _reset, _nonsense])
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


async def test_the_deadline_of_a_call_that_was_sent_leaves_the_outcome_unknown(
    platform: Scripted, client: PlatformClient
) -> None:
    with pytest.raises(OutcomeUnknown):
        await client.create_task(CALL, custom_id="c", idempotency_key="k", deadline_seconds=0.1)
    await platform.until(lambda: platform.open_connections == 0)


@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b"[]", b'{"status":"queued"}', b'{"task_id":"t"}'])
async def test_a_success_that_says_nothing_leaves_the_outcome_unknown(
    platform: Scripted, client: PlatformClient, body: bytes
) -> None:
    platform.respond = answer(202, body)
    with pytest.raises(OutcomeUnknown):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")


async def test_an_endless_answer_is_not_held(
    platform: Scripted, client: PlatformClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.platform.exchange.MAX_BODY_BYTES", 1000)
    platform.respond = answer(200, b"x" * 100_000)
    with pytest.raises(OutcomeUnknown, match="longer than 1000 bytes"):
        await client.get_task("t")


async def test_the_key_is_sent_and_appears_nowhere_else(
    platform: Scripted, client: PlatformClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = [repr(client)]
    for respond in (
        answer(401, {"code": "api_key_invalid", "message": f"no such key: {KEY}"}),
        answer(500, f"debug: x-api-key={KEY}".encode()),
        answer(200, f"hello {KEY}".encode()),
        hang_up,
        _nonsense,
    ):
        platform.respond = respond
        with pytest.raises(PlatformError) as caught:
            await client.create_task(CALL, custom_id="c", idempotency_key="k")
        error = caught.value
        shown += [str(error), repr(error), repr(error.answer), "".join(traceback.format_exception(error))]
        assert error.__cause__ is None
    assert platform.seen[0].headers["x-api-key"] == KEY
    assert not [text for text in [*shown, caplog.text] if KEY in text]
    assert "***" in shown[1]


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "schlüssel"])
def test_a_key_that_no_header_can_hold_stops_the_start_without_being_shown(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        PlatformClient(PlatformSettings(), key, Metrics(), None)  # type: ignore[arg-type]
    assert not key or key not in str(caught.value)


async def test_a_bad_key_is_remembered_until_a_call_succeeds(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(401, {"code": "api_key_invalid", "message": "no"})
    with pytest.raises(NotAuthorized):
        await client.get_task("t")
    assert client.unauthorized
    platform.respond = answer(404, b"")
    with pytest.raises(NotFound):
        await client.get_task("t")
    assert client.unauthorized
    platform.respond = answer(200, {"task_id": "t", "status": "queued"})
    await client.get_task("t")
    assert not client.unauthorized


async def test_a_server_that_compresses_unasked_is_understood(platform: Scripted, client: PlatformClient) -> None:
    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(plain(200, gzip.compress(b'{"task_id":"t","status":"queued"}'), "Content-Encoding: gzip"))
        await writer.drain()

    platform.respond = respond
    assert (await client.get_task("t")).status == "queued"
    assert platform.seen[0].headers["accept-encoding"] == "identity"
