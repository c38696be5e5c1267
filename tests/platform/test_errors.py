from __future__ import annotations

import asyncio
import gzip
import json
import logging
import math
import resource
import traceback
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contracts.events import PlatformAnswer
from service.domain.facts import FailureKind
from service.engine.work.failures import failure_of
from service.errors import SettingsError
from service.platform.answers import refusal
from service.platform.call import AnalysisCall
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
    Unsendable,
)
from service.platform.http.exchange import MAX_BODY_BYTES
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics
from tests.platform.conftest import CALL, KEY
from tests.platform.scripted import Respond, Scripted, Seen, answer, chunk, hang_up, plain
from tests.support.listeners import listening

Make = Callable[..., PlatformClient]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"code": "parameter_invalid", "message": "bad"}, "parameter_invalid", "bad"),
        ({"error": {"code": "parameter_invalid", "message": "bad", "details": {}}}, "parameter_invalid", "bad"),
        ({"code": 17, "message": {"a": 1}}, "17", '{"a":1}'),
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
    ("status", "code", "headers", "kind"),
    [
        (500, None, [], FailureKind.BUSY),
        (500, None, ["Retry-After: 5"], FailureKind.BUSY),
        (502, None, [], FailureKind.BUSY),
        (503, None, [], FailureKind.BUSY),
        (503, None, ["Retry-After: soon"], FailureKind.BUSY),
        (503, None, ["Retry-After: 5"], FailureKind.BUSY),
        (504, None, ["Retry-After: 5"], FailureKind.SERVER),
        (504, "request_canceled_or_timed_out", [], FailureKind.SERVER),
        (408, None, [], FailureKind.BUSY),
        (408, "request_canceled_or_timed_out", [], FailureKind.SERVER),
        (425, None, [], FailureKind.BUSY),
        (302, None, [], FailureKind.BUSY),
        (409, None, [], FailureKind.SERVER),
    ],
)
async def test_only_a_call_that_was_turned_away_before_any_work_is_not_billed(
    platform: Scripted, client: PlatformClient, status: int, code: str | None, headers: list[str], kind: FailureKind
) -> None:
    platform.respond = answer(status, {"code": code, "message": "no"}, *headers)
    with pytest.raises(PlatformError) as caught:
        await client.analyze(CALL)
    failure = failure_of(caught.value)
    assert failure.kind is kind
    assert failure.retry_after_seconds == (5 if headers == ["Retry-After: 5"] else None)


@pytest.mark.parametrize(
    ("status", "kind", "may_have_happened"),
    [
        (400, Rejected, False),
        (404, NotFound, False),
        (407, ServerFailed, False),
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
    # Neither repeated nor redirected; a 403 may mean the key or this request, and another call tells which.
    assert [seen.method for seen in platform.seen] == (["POST", "GET"] if status == 403 else ["POST"])


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


@pytest.mark.parametrize("code", ["api_not_allowed", "api_allowed_for_paid_plan"])
@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_refusal_meant_for_one_request_leaves_the_key_alone(
    platform: Scripted, client: PlatformClient, status: int, code: str
) -> None:
    platform.respond = answer(status, {"code": code, "message": "not with this model"})
    with pytest.raises(Rejected):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert not client.unauthorized
    assert len(platform.seen) == 1


@pytest.mark.parametrize("body", [b"", b"<html>blocked</html>", {"code": "region_not_allowed"}, {"code": "new_word"}])
async def test_a_403_that_does_not_say_whom_it_means_is_told_apart_by_another_call(
    platform: Scripted, client: PlatformClient, body: Any
) -> None:
    refuses_all = False

    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        refused = refuses_all or seen.method == "POST"
        await (answer(403, body) if refused else answer(200, {"data": []}))(seen, writer)

    platform.respond = respond
    with pytest.raises(Rejected):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert not client.unauthorized
    refuses_all = True
    with pytest.raises(NotAuthorized):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert client.unauthorized


async def test_a_403_that_can_not_be_told_apart_is_asked_again_later(
    platform: Scripted, client: PlatformClient
) -> None:
    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await answer(403 if seen.method == "POST" else 503, b"")(seen, writer)

    platform.respond = respond
    with pytest.raises(ServerFailed) as caught:
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert not caught.value.may_have_happened
    assert not client.unauthorized


async def test_telling_a_403_apart_needs_no_more_connections_than_there_are(
    platform: Scripted, make_client: Make
) -> None:
    client = make_client(max_calls=1)
    platform.respond = answer(403, b"")
    calls = [client.create_task(CALL, custom_id="c", idempotency_key=f"k-{n}") for n in range(5)]
    async with asyncio.timeout(10):
        found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in found] == [NotAuthorized] * 5


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


UNSENDABLE: dict[str, AnalysisCall] = {
    "half of a character": replace(CALL, prompt="\ud83d"),
    "not a number": replace(CALL, temperature=math.nan),
    "without end": replace(CALL, response_format={"x": math.inf}),
    "far too long": replace(CALL, response_format={"x": 10**5000}),
    "nested too deeply": replace(CALL, response_format=nested(5000)),
    "no JSON at all": replace(CALL, response_format={"x": b"bytes"}),
}


@pytest.mark.parametrize("call", UNSENDABLE.values(), ids=UNSENDABLE.keys())
async def test_what_can_not_be_written_is_an_error_of_the_request_and_never_sent(
    platform: Scripted, client: PlatformClient, call: AnalysisCall
) -> None:
    with pytest.raises(Unsendable):
        await client.create_task(call, custom_id="c", idempotency_key="k")
    with pytest.raises(Unsendable):
        await client.analyze(call)
    with pytest.raises(Unsendable):
        async with client.stream(call):
            pass
    assert platform.seen == []


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**70), 10**40])
async def test_an_integer_of_any_size_is_sent_as_it_is(platform: Scripted, client: PlatformClient, number: int) -> None:
    platform.respond = answer(202, {"task_id": "t", "status": "queued"})
    call = replace(CALL, response_format={"maximum": number})
    await client.create_task(call, custom_id="c", idempotency_key="k")
    assert json.loads(platform.seen[0].body)["response_format"] == {"maximum": number}


@pytest.mark.parametrize("key", ["é", "a\nb", "\ud83d", "a\0b"])
async def test_a_header_that_can_not_be_sent_is_an_error_of_the_request(
    platform: Scripted, client: PlatformClient, key: str
) -> None:
    with pytest.raises(Unsendable):
        await client.create_task(CALL, custom_id="c", idempotency_key=key)
    assert platform.seen == []


@pytest.mark.parametrize("identifier", ["\ud83d", "a\udc00b"])
async def test_an_id_that_no_address_can_hold_is_not_found(
    platform: Scripted, client: PlatformClient, identifier: str
) -> None:
    with pytest.raises(NotFound):
        await client.get_asset(identifier)
    assert platform.seen == []


async def test_an_id_that_is_too_long_for_an_address_is_an_error_of_the_request(
    platform: Scripted, client: PlatformClient
) -> None:
    with pytest.raises(Unsendable):
        await client.get_asset("a" * 70_000)
    assert platform.seen == []


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


@pytest.mark.parametrize(("status", "seconds", "billed"), [(500, 4.9, False), (500, 5.0, True), (502, 61.0, True)])
def test_an_error_that_comes_late_may_be_billed(status: int, seconds: float, *, billed: bool) -> None:
    error = refusal(PlatformAnswer(status=status, code=None, message="no"), None, took_seconds=seconds)

    assert isinstance(error, ServerFailed)
    assert (error.may_have_happened, error.may_be_billed) == (True, billed)
