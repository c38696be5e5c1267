"""Upload sessions over plain HTTP: what each endpoint and the storage take, refuse and remember."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Client

CHUNK = 1000
NEW = {"filename": "a.mp4", "type": "video", "total_size": 2500}
SESSIONS = "/assets/multipart-uploads"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorOptions(pace=FAST, chunk_bytes=CHUNK)) as emulator:
        yield emulator


async def _begin(client: Client, **members: Any) -> dict[str, Any]:
    answer = await client.call("POST", SESSIONS, json=NEW | members)
    assert answer.status == 201, answer.raw
    return dict(answer.json)


async def _put(client: Client, url: str, data: bytes, headers: dict[str, str] | None = None) -> tuple[int, str | None]:
    async with client.session.put(url, data=data, headers=headers) as response:
        await response.read()
        return response.status, response.headers.get("ETag")


def _proof(index: int, proof: str, **members: Any) -> dict[str, Any]:
    return {"chunk_index": index, "proof": proof, "proof_type": "etag"} | members


async def test_a_session_has_urls_for_its_first_chunks_and_an_asset_that_is_processing(client: Client) -> None:
    made = await _begin(client, total_size=25_000, user_metadata={"camera": "cam7", "empty": ""})
    asset = (await client.call("GET", f"/assets/{made['asset_id']}")).json

    assert (made["chunk_size"], made["total_chunks"]) == (CHUNK, 25)
    assert [url["chunk_index"] for url in made["upload_urls"]] == list(range(1, 11))
    assert made["upload_headers"] == {"Content-Type": "application/octet-stream"}
    assert (asset["method"], asset["status"], asset["user_metadata"]) == ("multipart", "processing", {"camera": "cam7"})


async def test_a_url_takes_its_chunk_once_and_answers_its_quoted_md5(client: Client) -> None:
    url = (await _begin(client))["upload_urls"][0]["url"]

    assert await _put(client, url, b"a" * CHUNK) == (200, f'"{hashlib.md5(b"a" * CHUNK).hexdigest()}"')
    assert (await _put(client, url, b"a" * CHUNK))[0] == 403


async def test_a_url_is_good_for_its_time_and_its_chunk_only(client: Client) -> None:
    client.emulator.set_pace(upload_url_seconds=0)
    old = (await _begin(client))["upload_urls"][0]["url"]
    client.emulator.set_pace(upload_url_seconds=60)
    first, second, last = (url["url"] for url in (await _begin(client))["upload_urls"])

    assert (await _put(client, old, b"a" * CHUNK))[0] == 403
    assert (await _put(client, first.replace("/1?", "/2?"), b"a" * CHUNK))[0] == 403
    assert (await _put(client, second.replace("signature=", "signature=ä"), b"a" * CHUNK))[0] == 403
    assert (await _put(client, second, b"short"))[0] == 400
    assert (await _put(client, last, b"z" * 500))[0] == 200


async def test_upload_headers_are_demanded_by_a_switch(session: aiohttp.ClientSession) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, chunk_bytes=CHUNK, enforce_upload_headers=True)) as emulator:
        client = Client(session, emulator)
        made = await _begin(client)
        url = made["upload_urls"][0]["url"]

        assert (await _put(client, url, b"a" * CHUNK))[0] == 403
        assert (await _put(client, url, b"a" * CHUNK, headers=made["upload_headers"]))[0] == 200


@pytest.mark.parametrize("quoted", [False, True])
async def test_a_report_takes_proofs_quoted_and_bare_and_counts_repeats(client: Client, *, quoted: bool) -> None:
    made = await _begin(client)
    path = f"{SESSIONS}/{made['upload_id']}"
    proofs = []
    for url, data in zip(made["upload_urls"], (b"a" * CHUNK, b"b" * CHUNK, b"c" * 500), strict=True):
        _, etag = await _put(client, url["url"], data)
        assert etag is not None
        proofs.append(_proof(url["chunk_index"], etag if quoted else etag.strip('"'), chunk_size=len(data)))

    first = (await client.call("POST", path, json={"completed_chunks": proofs[:2]})).json
    last = (await client.call("POST", path, json={"completed_chunks": proofs[1:]})).json
    status = (await client.call("GET", path)).json
    unfinished = (await client.call("GET", SESSIONS)).json

    assert first == {
        "asset_id": made["asset_id"], "processed_chunks": 2, "duplicate_chunks": 0, "total_completed": 2,
    }  # fmt: skip
    assert (last["processed_chunks"], last["duplicate_chunks"], last["total_completed"]) == (1, 1, 3)
    assert "url" in last
    assert (status["status"], status["chunks_completed"], status["uploaded_size"]) == ("completed", 3, 2500)
    assert unfinished["data"] == []


async def test_more_urls_come_for_chunks_that_were_not_reported(client: Client) -> None:
    made = await _begin(client)
    path = f"{SESSIONS}/{made['upload_id']}"
    _, etag = await _put(client, made["upload_urls"][1]["url"], b"b" * CHUNK)
    await client.call("POST", path, json={"completed_chunks": [_proof(2, etag or "")]})
    more = (await client.call("POST", f"{path}/presigned-urls", json={"start": 1, "count": 50})).json

    assert (more["start_index"], more["count"]) == (1, 2)
    assert [url["chunk_index"] for url in more["upload_urls"]] == [1, 3]


@pytest.mark.parametrize(
    ("wrong", "code", "named"),
    [
        ({"filename": None}, "parameter_not_provided", "filename"),
        ({"filename": "a" * 256}, "parameter_invalid", "filename"),
        ({"type": "document"}, "parameter_invalid", "type"),
        ({"type": None}, "parameter_not_provided", "type"),
        ({"total_size": 0}, "parameter_invalid", "total_size"),
        ({"total_size": 10_000_000_001}, "parameter_invalid", "total_size"),
        ({"total_size": 1.5}, "parameter_invalid", "total_size"),
        ({"total_size": 32_000_001, "type": "image"}, "parameter_invalid", "total_size"),
        ({"enable_hls": "yes"}, "parameter_invalid", "enable_hls"),
        ({"user_metadata": "{}"}, "parameter_invalid", "user_metadata"),
    ],
)
async def test_a_wrong_member_of_a_new_session_is_named(
    client: Client, wrong: dict[str, Any], code: str, named: str
) -> None:
    answer = await client.call("POST", SESSIONS, json=NEW | wrong)

    assert (answer.status, answer.json["code"]) == (400, code)
    assert named in answer.json["message"]


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [_proof(1, "x")] * 51,
        [_proof(1, "not the etag")],
        [_proof(3, "never sent")],
        [_proof(4, "no such chunk")],
        [_proof(1, "", chunk_size=CHUNK)],
        [_proof(1, "x") | {"proof_type": "sha"}],
    ],
)
async def test_a_wrong_report_counts_nothing(client: Client, chunks: list[dict[str, Any]]) -> None:
    made = await _begin(client)
    path = f"{SESSIONS}/{made['upload_id']}"
    _, etag = await _put(client, made["upload_urls"][0]["url"], b"a" * CHUNK)
    answer = await client.call("POST", path, json={"completed_chunks": [*chunks[:49], *chunks]})

    assert (answer.status, (await client.call("GET", path)).json["chunks_completed"]) == (400, 0)
    assert (await client.call("POST", path, json={"completed_chunks": [_proof(1, etag or "")]})).status == 200


@pytest.mark.parametrize("asked", [{"start": 0, "count": 1}, {"start": 4, "count": 1}, {"start": 1, "count": 51}, {}])
async def test_wrong_urls_can_not_be_asked_for(client: Client, asked: dict[str, Any]) -> None:
    made = await _begin(client)

    assert (await client.call("POST", f"{SESSIONS}/{made['upload_id']}/presigned-urls", json=asked)).status == 400


async def test_an_expired_session_takes_nothing_more_and_says_so(client: Client) -> None:
    client.emulator.set_pace(upload_session_seconds=0)
    made = await _begin(client)
    path = f"{SESSIONS}/{made['upload_id']}"

    assert (await client.call("GET", path)).json["status"] == "expired"
    assert (await _put(client, made["upload_urls"][0]["url"], b"a" * CHUNK))[0] == 403
    more = await client.call("POST", f"{path}/presigned-urls", json={"start": 1, "count": 1})
    assert (more.status, "expired" in more.json["message"]) == (400, True)
    report = await client.call("POST", path, json={"completed_chunks": [_proof(1, "x")]})
    assert report.status == 400
    assert [item["status"] for item in (await client.call("GET", SESSIONS)).json["data"]] == ["expired"]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", ""), ("POST", "/presigned-urls")])
async def test_an_unknown_session_is_not_found(client: Client, method: str, path: str) -> None:
    body = {"completed_chunks": [_proof(1, "x")], "start": 1, "count": 1}
    answer = await client.call(method, f"{SESSIONS}/{'0' * 24}{path}", json=body if method == "POST" else None)

    assert (answer.status, answer.json["code"]) == (404, "resource_not_exist")


async def test_an_unfinished_session_outlives_a_restart(
    session: aiohttp.ClientSession, clip: Path, tmp_path: Path
) -> None:
    data = clip.read_bytes()
    half = -(-len(data) // 2)
    emulator = Emulator(EmulatorOptions(pace=replace(FAST), state_dir=tmp_path, chunk_bytes=half))
    client = Client(session, emulator)
    async with emulator:
        made = await _begin(client, total_size=len(data))
        path = f"{SESSIONS}/{made['upload_id']}"
        used, unused = (url["url"] for url in made["upload_urls"])
        _, etag = await _put(client, used, data[:half])
        await client.call("POST", path, json={"completed_chunks": [_proof(1, etag or "")]})
    async with emulator:
        status = (await client.call("GET", path)).json
        again, _ = await _put(client, used, data[:half])
        _, etag = await _put(client, unused, data[half:])
        await client.call("POST", path, json={"completed_chunks": [_proof(2, etag or "")]})
        asset = await client.settled(made["asset_id"])

    assert [chunk["status"] for chunk in status["uploaded_chunks"]] == ["completed", "pending"]
    assert again == 403
    assert (asset["status"], asset["size"]) == ("ready", len(data))
