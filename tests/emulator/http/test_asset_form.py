"""The multipart form that creates an asset."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Client


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "parameter_not_provided"),
        ({"method": "carrier-pigeon"}, "parameter_invalid"),
        ({"method": "url"}, "parameter_not_provided"),
        ({"method": "url", "url": "file:///etc/passwd"}, "parameter_invalid"),
        ({"method": "direct"}, "parameter_not_provided"),
        ({"method": "url", "url": "http://127.0.0.1/a.mp4", "user_metadata": "[]"}, "parameter_invalid"),
        ({"method": "url", "url": "http://127.0.0.1/a.mp4", "enable_hls": "maybe"}, "parameter_invalid"),
    ],
)
async def test_a_wrong_form_is_refused_flat(client: Client, fields: dict[str, str], code: str) -> None:
    answer = await client.call("POST", "/assets", data=_form(**fields))

    assert (answer.status, answer.json["code"]) == (400, code)


async def test_json_is_not_a_form(client: Client) -> None:
    answer = await client.call("POST", "/assets", json={"method": "url"})

    assert (answer.status, answer.json["code"]) == (400, "content_type_invalid")


async def test_an_upload_is_not_held_in_memory(client: Client) -> None:
    size = 150_000_000

    async def body() -> AsyncIterator[bytes]:
        yield b'--B\r\nContent-Disposition: form-data; name="method"\r\n\r\ndirect\r\n'
        yield b'--B\r\nContent-Disposition: form-data; name="file"; filename="big.mp4"\r\n\r\n'
        for _ in range(size // 1_000_000):
            yield b"\0" * 1_000_000
        yield b"\r\n--B--\r\n"

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await client.call(
        "POST", "/assets", data=body(), headers={"Content-Type": "multipart/form-data; boundary=B"}
    )
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert answer.status == 201
    assert client.emulator.stats()["bytes"]["received"] == size
    assert grown_kib < 40_000


async def test_a_file_above_the_limit_is_refused(session: aiohttp.ClientSession, clip: Path) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, direct_limit_bytes=1000)) as emulator:
        answer = await Client(session, emulator).upload(clip)

    assert (answer.status, answer.json["code"]) == (400, "video_filesize_too_large")


def _form(**fields: str) -> aiohttp.MultipartWriter:
    writer = aiohttp.MultipartWriter("form-data")
    for name, value in fields.items():
        writer.append(value).set_content_disposition("form-data", name=name)
    return writer
