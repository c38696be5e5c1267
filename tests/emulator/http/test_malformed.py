"""Malformed requests, written to the socket by hand: each is answered with a 4xx in bounded time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Client

FORM = "multipart/form-data; boundary=B"
NAMED = b"Content-Disposition: form-data; name="
DIRECT = (NAMED + b'"method"', b"direct")
BY_URL = (NAMED + b'"method"', b"url")
FILE = (NAMED + b'"file"; filename="a.mp4"', b"abc")

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # aiohttp warns of wrong dispositions


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulator]:
    """With a state directory, so that everything noted must also fit into the journal."""
    options = EmulatorOptions(pace=FAST, state_dir=tmp_path, silence_seconds=2.0, fetch_timeout_seconds=2.0)
    async with Emulator(options) as emulator:
        yield emulator


def request(
    method: str, path: bytes, body: bytes = b"", content_type: str | bytes = "application/json", *headers: bytes
) -> bytes:
    kind = content_type if isinstance(content_type, bytes) else content_type.encode()
    head = [method.encode() + b" " + path + b" HTTP/1.1", b"Host: x", b"x-api-key: k", b"Connection: close"]
    head += [b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def form(*parts: tuple[bytes, bytes], end: bytes = b"--B--\r\n") -> bytes:
    return b"".join(b"--B\r\n" + head + b"\r\n\r\n" + body + b"\r\n" for head, body in parts) + end


async def answered(emulator: Emulator, data: bytes) -> tuple[int, bytes]:
    """Status and body; 0 for a connection that was closed without an answer."""
    reader, writer = await asyncio.open_connection(emulator.options.host, emulator.options.port)
    try:
        writer.write(data)
        received = await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return 0, b""
    finally:
        writer.close()
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head.startswith(b"HTTP/") else 0, body


FORMS = {
    "nothing": b"",
    "zeros": b"\0" * 5000,
    "only an end": b"--B--\r\n",
    "no end": form(DIRECT, FILE, end=b""),
    "no disposition": form((b"X: y", b"direct")),
    "wrong disposition": form((b'Content-Disposition: ;;=="', b"direct")),
    "nested": form((NAMED + b'"file"\r\nContent-Type: multipart/mixed; boundary=C', b"--C\r\n\r\nx\r\n--C--")),
    "nested without boundary": form((NAMED + b'"file"\r\nContent-Type: multipart/mixed', b"x")),
    "long charset": form((NAMED + b'"_charset_"', b"x" * 100), DIRECT, FILE),
    "charset that is no text": form((NAMED + b'"_charset_"', b"\xff"), DIRECT, FILE),
    "long part header": form(DIRECT, (NAMED + b'"file"; filename="' + b"a" * 20_000 + b'"', b"abc")),
    "many part headers": form(DIRECT, (b"\r\n".join(b"X%d: y" % n for n in range(2000)), b"abc")),
    "many parts": form(*((NAMED + b'"f%d"' % n, b"") for n in range(3000))),
    "long field": form((NAMED + b'"method"', b"d" * 500_000)),
    "url that can't be parted": form(BY_URL, (NAMED + b'"url"', b"http://[")),
    "deep metadata": form(BY_URL, (NAMED + b'"url"', b"http://x/"), (NAMED + b'"user_metadata"', b"[" * 5000)),
    "metadata with half an emoji": form(
        BY_URL, (NAMED + b'"url"', b"http://x/"), (NAMED + b'"user_metadata"', b'{"a":"\\ud83d"}')
    ),
    "metadata with a number out of range": form(
        BY_URL, (NAMED + b'"url"', b"http://x/"), (NAMED + b'"user_metadata"', b'{"a":1' + b"0" * 30 + b"}")
    ),
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS.keys())
async def test_a_malformed_form_is_a_bad_request(emulator: Emulator, body: bytes) -> None:
    status, answer = await answered(emulator, request("POST", b"/v1.3/assets", body, FORM))

    assert status == 400
    assert json.loads(answer)["code"] in {"parameter_invalid", "parameter_not_provided"}


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        (b"multipart/form-data", "parameter_invalid"),
        (b"multipart/form-data; boundary=" + b"B" * 100, "parameter_invalid"),
        (b"multipart/form-data; boundary=\xff", "parameter_invalid"),
        (b"multipart/mixed; boundary=B", "content_type_invalid"),
        (b"\xff/;;;", "content_type_invalid"),
    ],
)
async def test_a_form_of_another_content_type_is_a_bad_request(
    emulator: Emulator, content_type: bytes, code: str
) -> None:
    status, answer = await answered(emulator, request("POST", b"/v1.3/assets", form(DIRECT, FILE), content_type))

    assert (status, json.loads(answer)["code"]) == (400, code)


async def test_names_that_are_not_utf_8_are_taken_and_shown_with_replacements(emulator: Emulator) -> None:
    part = (NAMED + b'"file"; filename="\xff\xfe.mp4"\r\nContent-Type: \xff\xfe', b"abc")
    created, _ = await answered(emulator, request("POST", b"/v1.3/assets", form(DIRECT, part), FORM))
    task = b'{"video":{"type":"url","url":"http://127.0.0.1:1/"},"prompt":"x"}'
    keyed, _ = await answered(
        emulator, request("POST", b"/v1.3/analyze/tasks", task, "application/json", b"Idempotency-Key: \xff\xfe")
    )
    listed, assets = await answered(emulator, request("GET", b"/v1.3/assets"))
    shown, _ = await answered(emulator, request("GET", b"/_emulator/stats"))

    assert (created, keyed, listed, shown) == (201, 400, 200, 200)
    assert json.loads(assets)["data"][0]["filename"] == "\ufffd\ufffd.mp4"


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (request("POST", b"/v1.3/analyze", b"x", "application/json", b"Content-Encoding: gzip"), {400}),
        (request("POST", b"/v1.3/analyze", b"\xff\xff", "application/json", b"Content-Encoding: deflate"), {400}),
        (request("POST", b"/v1.3/assets", b"x", FORM, b"Content-Encoding: gzip"), {400}),
        (request("POST", b"/v1.3/analyze", b'{"a":' * 3000), {400}),
        (request("POST", b"/v1.3/analyze", b'{"prompt":"\\ud83d"}'), {400}),
        (request("POST", b"/v1.3/analyze", b'{"start_time":1e999}'), {400}),
        (request("POST", b"/v1.3/analyze", b"[]"), {400}),
        (request("BREW", b"/v1.3/assets"), {400, 405}),
        (request("DELETE", b"/v1.3/assets"), {405}),
        (request("CONNECT", b"x:1"), {0, 400, 404}),
        (request("GET", b"/v1.3/%ff%ed%a0%80"), {404}),
        (request("GET", b"/v1.3/analyze/tasks/%ED%A0%80%FF"), {404}),
        (request("GET", b"/v1.3/assets?page=" + b"9" * 5000), {400}),
        (request("GET", b"/v1.3/assets?page=%C2%B2"), {400}),
        (request("GET", b"/v1.3/assets?filename=" + b"a" * 20_000), {400}),
        (request("DELETE", b"/_emulator/faults?id=%C2%B2"), {400}),
        (request("POST", b"/_emulator/faults", b"[1,2]"), {400}),
        (request("POST", b"/_emulator/faults", b'{"operation":[[1]],"do":{"status":500}}'), {400}),
        (request("POST", b"/_emulator/faults", b'{"nth":{},"do":{"status":500}}'), {400}),
        (request("POST", b"/_emulator/faults", b'{"do":{"status":99999}}'), {400}),
        (request("POST", b"/_emulator/faults", b'{"do":{"status":500,"retry_after":"1\\r\\nx: y"}}'), {400}),
        (request("POST", b"/_emulator/settings", b'{"time_scale":1e308}'), {400}),
        (request("POST", b"/_emulator/settings", b"[]"), {400}),
        (request("POST", b"/_emulator/tasks/finish", b'{"task_ids":[[1]]}'), {400}),
        (b"POST /v1.3/analyze HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", {400}),
        (b"POST /v1.3/analyze HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n", {400}),
    ],
)
async def test_a_malformed_request_is_refused(emulator: Emulator, data: bytes, statuses: set[int]) -> None:
    assert (await answered(emulator, data))[0] in statuses


def _deep(levels: int) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(levels):
        schema = {"anyOf": [schema]}
    return schema


@pytest.mark.parametrize(
    "members",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"$ref": "#"}}},
        {"response_format": {"type": "json_schema", "json_schema": _deep(400)}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
            }
        },
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"type": "string", "pattern": "((a{999}){999}){9}"},
            }
        },
        {"response_format": {"type": "json_schema", "json_schema": {"type": "array", "items": []}}},
        {"start_time": 1e308},
        {"max_tokens": 1e30},
        {"video": {"type": ["url"], "url": "http://x/"}},
        {"video": {"type": "url", "url": "http://["}},
        {"model_name": {}},
        {"prompt": "[[emulate: characters=999999999999]]"},
        {"prompt": "[[emulate: delay_seconds=nan]]"},
        {"prompt": "[[emulate: times=" + "9" * 900 + " fail=500]]"},
    ],
)
async def test_an_unreasonable_analysis_is_a_bad_request(client: Client, clip: Path, members: dict[str, Any]) -> None:
    asset_id = await client.ready_asset(clip)
    answer = await client.analyze(asset_id, **({"stream": False} | members))

    assert (answer.status, answer.json["code"]) == (400, "parameter_invalid")


async def test_a_schema_of_many_references_is_filled_in_bounded_time(client: Client, clip: Path) -> None:
    schema = {"type": "object", "properties": {f"p{number}": {"$ref": "#"} for number in range(200)}}
    wanted = {"type": "json_schema", "json_schema": schema}
    answer = await client.analyze(await client.ready_asset(clip), stream=False, response_format=wanted)

    assert answer.status == 200
    assert len(answer.raw) < 1_000_000


async def test_a_refused_form_leaves_no_file(emulator: Emulator, tmp_path: Path) -> None:
    for method in (b"direct", b"url"):
        parts = [(NAMED + b'"method"', method), FILE, (NAMED + b'"enable_hls"', b"maybe")]
        status, _ = await answered(emulator, request("POST", b"/v1.3/assets", form(*parts), FORM))
        assert status == 400

    assert list(tmp_path.rglob("spool-*")) == []


async def test_requests_damaged_at_random_are_answered(emulator: Emulator) -> None:
    rng = random.Random(4)
    analysis = json.dumps({"video": {"type": "asset_id", "asset_id": "0" * 24}, "prompt": "x", "max_tokens": 600})
    whole = [
        (b"/v1.3/assets", FORM, form(DIRECT, FILE)),
        (b"/v1.3/assets", FORM, form(BY_URL, (NAMED + b'"url"', b"http://127.0.0.1:1/a.mp4"))),
        (b"/v1.3/analyze", "application/json", analysis.encode()),
        (b"/v1.3/analyze/tasks", "application/json", analysis.encode()),
        (b"/_emulator/settings", "application/json", b'{"fragments": 3, "time_scale": 0.5}'),
    ]

    async def one() -> int:
        path, kind, body = rng.choice(whole)
        return (await answered(emulator, request("POST", path, _damaged(body, rng), kind)))[0]

    seen: list[int] = []
    for _ in range(40):
        seen += await asyncio.gather(*(one() for _ in range(20)))

    assert {status for status in seen if status >= 500} == set()
    assert 0 not in seen


def _damaged(body: bytes, rng: random.Random) -> bytes:
    data = bytearray(body)
    extra: Iterable[bytes] = (b'"', b"{", b"[", b"\\ud800", b"1e999", b"null", b"\r\n", b"--B", b"\0", b"\xff")
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(data) + 1)
        match rng.randint(0, 3):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randint(1, 20)]
            case 2:
                data[at:at] = rng.choice(tuple(extra))
            case _:
                data[at : at + 10] = data[at : at + 10] * 3
    return bytes(data)
