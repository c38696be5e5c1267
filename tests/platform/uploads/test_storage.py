"""Chunks on their way to the storage: one PUT each, without our key, and every answer as an error of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from service.footage.errors import SourceUnfinished
from service.platform.client import PlatformClient
from service.platform.errors import NotSent, OutcomeUnknown, PlatformError, ServerFailed, SourceChanged, UrlRefused
from service.platform.uploads.storage import PIECE_BYTES, ChunkBody
from service.platform.uploads.values import ChunkUrl
from tests.platform.conftest import KEY
from tests.platform.scripted import Scripted, answer, hang, hang_up

DATA = bytes(range(256)) * 5_000
SECRET = "sig=S3CRET"


async def read(start: int, size: int) -> bytes:
    return DATA[start : start + size]


def url_of(platform: Scripted) -> ChunkUrl:
    return ChunkUrl(1, f"http://127.0.0.1:{platform.port}/u/1%2B?{SECRET}%2f")


def body(start: int = 10, size: int = 1_200_000, sent: Callable[[int], None] = lambda _: None) -> ChunkBody:
    return ChunkBody(read, start, size, sent)


async def test_a_chunk_is_put_as_signed_and_without_the_api_key(client: PlatformClient, platform: Scripted) -> None:
    platform.respond = answer(200, b"", 'ETag: "9b74c9"')
    told: list[int] = []
    etag = await client.storage.put(url_of(platform), body(sent=told.append), {"x-amz-meta-a": "b"})
    (seen,) = platform.seen

    assert etag == "9b74c9"
    assert (seen.method, seen.target, seen.body) == ("PUT", f"/u/1%2B?{SECRET}%2f", DATA[10:1_200_010])
    assert (seen.headers["x-amz-meta-a"], seen.headers["content-length"]) == ("b", "1200000")
    assert "transfer-encoding" not in seen.headers
    assert KEY not in str(seen.headers)
    assert told == [PIECE_BYTES, 2 * PIECE_BYTES, 1_200_000]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, UrlRefused), (401, UrlRefused), (403, UrlRefused), (404, UrlRefused), (410, UrlRefused),
        (307, UrlRefused), (408, ServerFailed), (429, ServerFailed), (500, ServerFailed), (503, ServerFailed),
        (200, OutcomeUnknown),
    ],
)  # fmt: skip
async def test_an_answer_without_a_proof_is_an_error_that_shows_no_url(
    client: PlatformClient, platform: Scripted, status: int, error: type[PlatformError]
) -> None:
    said = f"<Error><StringToSign>{SECRET}</StringToSign></Error>".encode()
    platform.respond = answer(status, said, "Retry-After: 7", f"Location: http://x/?{SECRET}")
    with pytest.raises(error) as caught:
        await client.storage.put(url_of(platform), body(), {})

    assert type(caught.value) is error
    assert SECRET not in f"{caught.value} {caught.value.answer}"
    assert caught.value.__cause__ is None
    if isinstance(caught.value, ServerFailed):
        assert caught.value.retry_after_seconds == 7


async def test_a_connection_that_is_cut_leaves_the_outcome_unknown(client: PlatformClient, platform: Scripted) -> None:
    platform.respond = hang_up
    with pytest.raises(OutcomeUnknown) as caught:
        await client.storage.put(url_of(platform), body(), {})
    assert SECRET not in str(caught.value)


async def test_a_storage_that_is_not_there_was_sent_nothing(client: PlatformClient) -> None:
    with pytest.raises(NotSent) as caught:
        await client.storage.put(ChunkUrl(1, f"http://127.0.0.1:1/u?{SECRET}"), body(), {})
    assert SECRET not in str(caught.value)
    assert "storage" in str(caught.value)


@pytest.mark.parametrize("stuck", [False, True])
async def test_a_storage_that_stands_still_is_given_up(
    make_client: Callable[..., PlatformClient], platform: Scripted, *, stuck: bool
) -> None:
    platform.respond, platform.stuck = hang, stuck
    client = make_client(read_timeout_seconds=0.2)
    with pytest.raises(OutcomeUnknown):
        await client.storage.put(url_of(platform), body(), {})


async def test_why_a_chunk_could_not_be_read_is_told_and_not_that_the_connection_broke(
    client: PlatformClient, platform: Scripted
) -> None:
    platform.respond = answer(200, b"", "ETag: x")

    async def changed(start: int, size: int) -> bytes:
        if start:
            raise SourceUnfinished("the file changed")
        return bytes(size)

    with pytest.raises(SourceUnfinished):
        await client.storage.put(url_of(platform), ChunkBody(changed, 0, 1_200_000, lambda _: None), {})
    with pytest.raises(SourceChanged):
        await client.storage.put(url_of(platform), body(size=len(DATA)), {})


async def test_nothing_is_put_when_nothing_may_be_paid_for(client: PlatformClient, platform: Scripted) -> None:
    client._may_pay = lambda: False
    with pytest.raises(NotSent):
        await client.storage.put(url_of(platform), body(), {})
    assert platform.seen == []
