"""Thousands of broken responses, byte by byte: whatever comes over the wire is a value or one of our errors."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import orjson
import pytest

from service.platform.client import PlatformClient
from service.platform.errors import PlatformError
from tests.platform.conftest import CALL, KEY, MARK
from tests.platform.listing import NOON, task_row
from tests.platform.scripted import NDJSON, Scripted, Seen, chunk, plain
from tests.platform.test_stream import END, START, collect, line

TASK = orjson.dumps(
    {
        "task_id": "t",
        "status": "ready",
        "custom_id": "c",
        "created_at": "2026-03-04T05:00:00Z",
        "video_source": {"type": "url", "system_metadata": {"duration": 62.5}},
        "result": {"data": "naïve 😀", "finish_reason": "stop", "usage": {"output_tokens": 1, "input_tokens": 2}},
        "error": {"message": "cut", "code": "c"},
    }
)
ASSET = orjson.dumps({"_id": "a", "status": "ready", "duration": 1.5, "size": 3, "user_metadata": MARK.metadata(KEY)})
PAGE = orjson.dumps({"data": [task_row(1, "c", NOON)], "page_info": {"total_page": 1, "total_results": 1}})
ODD = [
    b"\x00", b"\xff", b"\xed\xa0\xbd", b'"', b"\\", b"\\ud83d", b"{", b"}", b"[", b"-", b"1e999", b"NaN", b"null", b",",
    b":", b"9" * 400, b"\r\n", b"\n", b"\xe2\x80\xa8", b"true", b"0", b" " * 70_000,
]  # fmt: skip
HEADERS = [
    "Retry-After: soon", "Retry-After: -1", "Retry-After: 0", "Date: never", "Date: Thu, 01 Jan 0001 00:00:00 -0000",
    "Content-Encoding: gzip", "Content-Encoding: deflate", "Content-Encoding: br", "Content-Type: \xff/\xfe",
    "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 99999999999999999999", "Set-Cookie: \x80=\x81", "Location: //",
    "Transfer-Encoding: chunked", "Content-Length: 5", "Connection: close", "X: " + "y" * 9000,
]  # fmt: skip
STATUSES = [200, 200, 200, 200, 200, 201, 204, 206, 299, 302, 400, 401, 403, 404, 409, 418, 500, 503, 599, 999]


def mutated(data: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randrange(12)):
        at = dice.randrange(len(data) + 1)
        data = data[:at] + dice.choice([*ODD, b""]) + data[at + dice.choice([0, 0, 1, 5, 40]) :]
    return data[: dice.randrange(len(data) + 1)] if dice.random() < 0.1 else data


def response(dice: random.Random) -> bytes:
    body = mutated(dice.choice([TASK, ASSET, PAGE, b"[]", b"{}", b""]), dice)
    headers = dice.sample(HEADERS, dice.choice([0, 0, 0, 1, 2]))
    whole = plain(dice.choice(STATUSES), body, *headers)
    return mutated(whole, dice) if dice.random() < 0.1 else whole


def stream(dice: random.Random) -> bytes:
    lines = mutated(START + line("naïve 😀") * 3 + END, dice)
    cut = dice.randrange(len(lines) + 1)
    whole = NDJSON + b"".join(chunk(part) for part in (lines[:cut], lines[cut:]) if part) + b"0\r\n\r\n"
    return mutated(whole, dice) if dice.random() < 0.2 else whole


CALLS: list[Callable[[PlatformClient], Awaitable[object]]] = [
    lambda client: client.get_task("t"),
    lambda client: client.get_asset("a"),
    lambda client: client.analyze(CALL),
    lambda client: client.create_task(CALL, custom_id="c", idempotency_key="k"),
    lambda client: client.create_asset_from_url("https://h/a", filename="a", mark=MARK, request_id="r"),
    lambda client: client.cancel_task("t"),
    lambda client: client.find_task("c", asset_id="a1", created_after=NOON - 300),
    lambda client: client.find_assets("token", MARK, created_after=0),
    lambda client: client.check_key(),
]


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_comes_over_the_wire_is_a_value_or_one_of_our_errors(
    platform: Scripted, make_client: Callable[..., PlatformClient], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("service.platform.walk.MAX_PAGES", 3)
    dice = random.Random(seed)
    streamed = False

    async def respond(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(stream(dice) if streamed else response(dice))
        await writer.drain()
        if dice.random() < 0.5:
            writer.close()

    platform.respond = respond
    timeouts = {"read_timeout_seconds": 0.1, "stream_idle_seconds": 0.1, "sync_timeout_seconds": 0.1}
    client = make_client(**timeouts)
    told: list[str] = []
    for number in range(60):
        if any(client.paused(category) for category in ("read", "analyze", "upload")):
            client = make_client(**timeouts)  # it was told to wait, perhaps for a hundred years
        streamed = number % 4 == 0
        try:
            async with asyncio.timeout(2):
                told.append(str(await (collect(client) if streamed else dice.choice(CALLS)(client))))
        except PlatformError as error:
            told.append(str(error))
        except TimeoutError:
            told.append(f"waits: {client!r}")
    assert len(told) == 60
    for words in told:
        words.encode()
        assert len(words) < 9_000
