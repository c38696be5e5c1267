"""Upload sessions: what is sent, and what is made of every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from service.platform.client import PlatformClient
from service.platform.errors import NotFound, OutcomeUnknown, Rejected
from service.platform.uploads.values import ChunkProof, UploadStatus
from tests.platform.conftest import KEY, MARK
from tests.platform.scripted import Scripted, Seen, answer

SESSION = {
    "upload_id": "507f1f77bcf86cd799439011",
    "asset_id": "66f0a1b2c3d4e5f601234569",
    "chunk_size": 100,
    "total_chunks": 3,
    "upload_urls": [
        {"chunk_index": 1, "url": "http://store.example.com/1?sig=a", "expires_at": "2026-03-04T06:00:00Z"}
    ],
    "upload_headers": {"Content-Type": "application/octet-stream"},
    "expires_at": "2026-03-05T05:00:00Z",
}


async def begin(client: PlatformClient) -> Any:
    return await client.begin_upload(filename="a.mp4", kind="video", size=250, mark=MARK, request_id="r-1")


async def test_a_session_is_begun_with_the_mark_and_without_renditions(
    client: PlatformClient, platform: Scripted
) -> None:
    platform.respond = answer(201, SESSION)
    session = await begin(client)
    (seen,) = platform.seen

    assert (seen.method, seen.target) == ("POST", "/v1.3/assets/multipart-uploads")
    assert seen.json() == {
        "filename": "a.mp4",
        "type": "video",
        "total_size": 250,
        "enable_hls": False,
        "enable_thumbnail": False,
        "user_metadata": MARK.metadata(KEY) | {"request_id": "r-1"},
    }
    assert (session.upload_id, session.chunk_size) == (SESSION["upload_id"], 100)
    assert session.headers == SESSION["upload_headers"]
    assert [(url.index, url.url) for url in session.urls] == [(1, "http://store.example.com/1?sig=a")]
    assert "sig=a" not in repr(session)


@pytest.mark.parametrize(
    "wrong",
    [
        {"upload_id": None},
        {"asset_id": 7},
        {"chunk_size": 0},
        {"chunk_size": 0.5},
        {"total_chunks": 2},
    ],
)
async def test_an_answer_that_makes_no_session_leaves_the_outcome_unknown(
    client: PlatformClient, platform: Scripted, wrong: dict[str, Any]
) -> None:
    platform.respond = answer(201, SESSION | wrong)
    with pytest.raises(OutcomeUnknown):
        await begin(client)


async def test_a_session_of_far_too_many_chunks_is_none(client: PlatformClient, platform: Scripted) -> None:
    platform.respond = answer(201, SESSION | {"chunk_size": 1, "total_chunks": 10**9})
    with pytest.raises(OutcomeUnknown):
        await client.begin_upload(filename="a.mp4", kind="video", size=10**9, mark=MARK, request_id="r-1")


async def test_urls_and_headers_that_are_of_no_use_are_left_out(client: PlatformClient, platform: Scripted) -> None:
    urls = [
        {"chunk_index": 1, "url": "ftp://store.example.com/1"},
        {"chunk_index": 2, "url": "http://store.example.com/2\r\nx: y"},
        {"chunk_index": 0, "url": "http://store.example.com/0"},
        {"chunk_index": 3, "url": "http://[store/3"},
        {"chunk_index": 4, "url": None},
        "http://store.example.com/5",
    ]
    headers = {"x-a": "1", "Content-Length": "7", "X-Api-Key": "k", "x-b": "two\nlines", "": "x", "x-c": 5, "x-é": "d"}
    platform.respond = answer(201, SESSION | {"upload_urls": urls, "upload_headers": headers})
    session = await begin(client)

    assert session.urls == ()
    assert session.headers == {"x-a": "1"}


async def test_a_storage_in_clear_is_not_used_by_a_platform_that_is_encrypted(
    make_client: Callable[..., PlatformClient],
) -> None:
    client = make_client(base_url="https://api.example.com/v1.3")
    urls = {
        "upload_urls": [{"chunk_index": n, "url": f"{s}://store.example.com"} for n, s in ((1, "http"), (2, "https"))]
    }

    assert [url.index for url in client._urls(urls)] == [2]


async def test_chunks_are_reported_with_their_etags(client: PlatformClient, platform: Scripted) -> None:
    platform.respond = answer(200, {"asset_id": "x", "processed_chunks": 1, "total_completed": 2})
    assert await client.report_chunks("u/1", [ChunkProof(2, "abc", 50)]) == 2
    (seen,) = platform.seen

    assert seen.target == "/v1.3/assets/multipart-uploads/u%2F1"
    chunk = {"chunk_index": 2, "proof": "abc", "proof_type": "etag", "chunk_size": 50}
    assert seen.json() == {"completed_chunks": [chunk]}


async def test_fresh_urls_are_asked_for_by_place_and_count(client: PlatformClient, platform: Scripted) -> None:
    platform.respond = answer(200, {"upload_urls": [{"chunk_index": 11, "url": "https://store.example.com/11"}]})
    (url,) = await client.fresh_urls("u-1", 11, 10)
    (seen,) = platform.seen

    assert (url.index, url.expires_at) == (11, None)
    assert seen.target.endswith("/u-1/presigned-urls")
    assert seen.json() == {"start": 11, "count": 10}


async def test_the_status_is_read_page_by_page(client: PlatformClient, platform: Scripted) -> None:
    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        page = int(seen.target.partition("page=")[2].partition("&")[0])
        rows = [
            {"index": index, "status": "completed" if index % 2 else "pending"}
            for index in range((page - 1) * 50 + 1, min(page * 50, 120) + 1)
        ]
        await answer(200, {"status": "active", "uploaded_chunks": rows})(seen, writer)

    platform.respond = respond
    status = await client.upload_status("u-1", 120)

    assert status == UploadStatus("active", frozenset(range(1, 121, 2)))
    assert len(platform.seen) == 3


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"status": "completed"}, UploadStatus("completed", None)),
        ({"status": "expired", "uploaded_chunks": []}, UploadStatus("expired", None)),
        ({"status": "active"}, UploadStatus("active", None)),
        ({"status": "active", "uploaded_chunks": None}, UploadStatus("active", None)),
        ({"status": "active", "uploaded_chunks": []}, UploadStatus("active", frozenset())),
        (
            {"status": "active", "uploaded_chunks": [7, {"index": "1", "status": "completed"}, {"status": "completed"},
                                                     {"index": 99, "status": "completed"}]},
            UploadStatus("active", frozenset()),
        ),
    ],
)  # fmt: skip
async def test_a_status_is_made_of_what_can_be_read(
    client: PlatformClient, platform: Scripted, said: dict[str, Any], status: UploadStatus
) -> None:
    platform.respond = answer(200, said)
    assert await client.upload_status("u-1", 3) == status


async def test_a_session_that_is_gone_is_not_found(client: PlatformClient, platform: Scripted) -> None:
    platform.respond = answer(404, {"code": "resource_not_exist", "message": "no such upload"})
    for call in (client.upload_status("u-1", 3), client.fresh_urls("u-1", 1, 1), client.report_chunks("u-1", [])):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(Rejected):
        await client.upload_status("..", 3)
